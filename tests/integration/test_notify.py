"""Notifying: events in the caller's transaction, and no other row."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from pgsupervise.django_app import bulk
from pgsupervise.django_app.models import Batch, Delivery, Event
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Policy, PolicyError, register
from pgsupervise.partitions.buckets import bucket_of
from tests.registries import own_registries

pytestmark = pytest.mark.usefixtures("db")
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture(autouse=True)
def policies() -> Iterator[None]:
    with own_registries():
        register(Policy(name="comments", window=timedelta(minutes=5)))
        register(Policy(name="edits", window=timedelta(minutes=5), key="object"))
        yield


def test_an_event_is_what_was_told() -> None:
    event_id = notify("comments", "ann@example.com", {"n": [1, "ü"]}, actor="Bob", object="Trip", occurred_at=NOON)
    row = Event.objects.get(id=event_id)
    assert (row.policy, row.recipient, row.data, row.actor) == ("comments", "ann@example.com", {"n": [1, "ü"]}, "Bob")
    assert (row.object, row.key, row.state, row.batch_id) == ("Trip", "", "PENDING", None)
    assert (row.bucket, row.occurred_at) == (bucket_of("ann@example.com"), NOON)


def test_only_the_event_is_written() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        notify("comments", "ann")
    assert len(queries) == 1
    assert (Event.objects.count(), Batch.objects.count(), Delivery.objects.count()) == (1, 0, 0)


def test_the_policy_may_key_by_object() -> None:
    edits = Policy(name="edits", window=timedelta(minutes=5), key="object")
    row = Event.objects.get(id=notify(edits, "ann", object="page-1"))
    assert (row.key, row.object) == ("page-1", "page-1")


def test_without_a_time_an_event_occurs_now_by_the_databases_clock() -> None:
    with transaction.atomic():
        notify("comments", "ann")
        notify_many("comments", [Notification("bob"), Notification("eve", occurred_at=NOON)])
        rows = {row.recipient: row for row in Event.objects.all()}
    assert rows["ann"].occurred_at == rows["ann"].created_at == rows["bob"].occurred_at == rows["bob"].created_at
    assert rows["eve"].occurred_at == NOON


def test_one_and_many_make_the_same_row() -> None:
    event = Notification("ann", {"a": "\\ \t \n ü 🎈"}, "B\\b", "Trip ' \"", NOON)
    notify("edits", event.recipient, event.data, actor=event.actor, object=event.object, occurred_at=NOON)
    assert notify_many("edits", iter([event])) == 1
    columns = [field.attname for field in Event._meta.fields if field.attname not in ("id", "created_at")]
    first, second = Event.objects.values_list(*columns)
    assert first == second


def test_a_generator_may_query_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 3)
    notify_many("comments", (Notification(f"user-{number}") for number in range(10)))
    events = (Notification(row.recipient) for row in Event.objects.order_by("id").iterator(chunk_size=2))
    assert notify_many("edits", events) == 10
    assert Event.objects.filter(policy="edits").count() == 10


def test_a_faulty_event_leaves_no_row_and_the_transaction_usable() -> None:
    with transaction.atomic():
        with pytest.raises(ValueError, match="recipient is empty"):
            notify_many("comments", [Notification("ann"), Notification("")])
        notify("comments", "eve")
    assert [row.recipient for row in Event.objects.all()] == ["eve"]


def test_the_callers_transaction_decides() -> None:
    with transaction.atomic():
        notify("comments", "ann")
        notify_many("comments", [Notification("ann")])
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_an_unknown_policy_is_refused_before_anything_is_written() -> None:
    for policy in ("coments", Policy(name="coments", window=timedelta(1))):
        with pytest.raises(PolicyError, match="use one of these: comments, edits"):
            notify(policy, "ann")
        with pytest.raises(PolicyError, match="coments"):
            notify_many(policy, [])


@pytest.mark.parametrize(
    ("recipient", "error", "words"),
    [
        ("", ValueError, "recipient is empty"),
        ("a" * 321, ValueError, r"recipient is 'aaa.*\.\.\., 321 characters: shorten it to 320"),
        ("ann\r\nBcc: eve", ValueError, r"recipient is 'ann\\r\\nBcc: eve': remove the character '\\r'"),
        ("a\x00", ValueError, "remove the character"),
        ("a\x85", ValueError, "remove the character"),
        ("a\udcff", ValueError, "remove the character"),
        (7, TypeError, r"recipient is 7 \(int\)"),
        (None, TypeError, "recipient is None"),
    ],
)
def test_recipients_are_checked(recipient: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        notify("comments", recipient)


@pytest.mark.parametrize("recipient", ["ü" * 320, "Zoë \u202f🎈", "a\u200db"])
def test_any_other_text_is_a_recipient(recipient: str) -> None:
    assert Event.objects.get(id=notify("comments", recipient)).recipient == recipient


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"actor": "a\n"}, ValueError, "actor is"),
        ({"actor": None}, TypeError, "actor is None"),
        ({"object": "o" * 501}, ValueError, "shorten it to 500"),
        ({"data": [1]}, TypeError, r"data is \[1\] \(list\): it must be a JSON object"),
        ({"data": []}, TypeError, "it must be a JSON object"),
        ({"data": {"at": NOON}}, TypeError, r"data\['at'\] is a datetime"),
        ({"data": {"x": "y" * 1_000_000}}, ValueError, "store the content in a table"),
        ({"occurred_at": datetime(2026, 1, 1)}, ValueError, "without a time zone"),  # noqa: DTZ001 - that is the point
        ({"occurred_at": datetime(9999, 12, 31, tzinfo=UTC)}, ValueError, "9999-12-31.* in the years 1900"),
        ({"occurred_at": "now"}, TypeError, "occurred_at is 'now'"),
    ],
)
def test_other_values_are_checked(values: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        notify("comments", "ann", **values)


def test_many_takes_notifications_only() -> None:
    with pytest.raises(TypeError, match="make it a Notification"):
        notify_many("comments", [("ann", {})])  # type: ignore[list-item]  # wrong on purpose
