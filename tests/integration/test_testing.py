"""The simulated clock, and flushing in a project's own tests: a week of windows in milliseconds."""

import unittest
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import DataError, connection, transaction
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext

from pgsupervise.django_app import channels, clock, followers
from pgsupervise.django_app.explaining import explain_event
from pgsupervise.django_app.fanout import followers_of, notify_followers, subscribe
from pgsupervise.django_app.models import Batch, Clock, Delivery, Event, FanOut, InboxMessage, Lease, Worker
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Fixed, Policy, Sliding, register
from pgsupervise.django_app.testing import (
    ClockError,
    DigestError,
    advance,
    finish_fan_outs,
    flush_due,
    freeze,
    unfreeze,
)
from pgsupervise.django_app.testing_worker import ROWS
from pgsupervise.partitions.states import DeliveryState
from pgsupervise.supervisor.project import Channel, ChannelSpec
from tests.integration.world import age_beat, owner_of, worker
from tests.registries import own_registries

pytest_plugins = ["pgsupervise.django_app.testing_plugin"]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEP = 3 * HOUR


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(followers, "_registry", {**followers._registry})
    with own_registries():
        register(Policy(name="comments", window=timedelta(minutes=5)))
        register(Policy(name="daily", window=Fixed(DAY), channel="sendgrid"))
        register(Policy(name="slow", window=Sliding(1.5 * STEP, max=DAY), channel="null", key="object"))
        yield
    unfreeze_process()


def unfreeze_process() -> None:
    clock._Here.frozen = False


def a_week(flush: Callable[[], list[Any]]) -> list[Any]:
    """Tell something every third hour of a week, flush as often, and return what was sent with the time of that."""
    found = []
    for number in range(7 * 8):
        for policy in ("comments", "daily", "slow"):
            notify(policy, "ann@example.com", object=f"page-{number // 16}")
        now = advance(STEP)
        assert now == NOON + (number + 1) * STEP
        found += [(now, digest) for digest in flush()]
    return found


def check_a_week(sent: list[Any]) -> None:
    by_policy: dict[str, list[Any]] = {}
    for at, digest in sent:
        by_policy.setdefault(digest.policy, []).append((at, digest))
    assert [len(digest.event_ids) for _, digest in by_policy["comments"]] == [1] * 56
    assert [(at, len(digest.event_ids)) for at, digest in by_policy["daily"]] == [
        (NOON + day * DAY, 8) for day in range(1, 8)
    ]
    # Each event moves the end on, up to a day behind the first one.
    assert [(digest.key, len(digest.event_ids)) for _, digest in by_policy["slow"]][:2] == [("page-0", 8)] * 2
    assert {digest.state for _, digest in sent} == {DeliveryState.ACCEPTED}
    assert Event.objects.filter(state="PENDING").count() == 0


def test_a_week_of_windows_without_a_transaction(db: str) -> None:
    with freeze(NOON):
        check_a_week(a_week(flush_due))
    assert InboxMessage.objects.count() == 56
    assert Clock.objects.get().simulated_at is None
    assert not Worker.objects.exists()
    assert not Lease.objects.exclude(owner=None).exists()


def test_a_week_of_windows_inside_a_transaction_that_is_rolled_back(db: str) -> None:
    with transaction.atomic():
        with freeze(NOON):
            check_a_week(a_week(flush_due))
            with connection.cursor() as cursor:
                cursor.execute("SHOW idle_in_transaction_session_timeout")
                assert cursor.fetchone() == ("0",), "a test may rest in its transaction for as long as it likes"
        transaction.set_rollback(True)
    for model in (Event, Batch, Delivery, InboxMessage, Worker):
        assert not model._default_manager.exists()


def test_a_digest_is_what_its_channel_gets_and_only_the_inbox_is_real(pgsupervise_clock: clock.Frozen) -> None:
    first = notify("daily", "ann@example.com", {"text": "Nice!"}, actor="Bob", object="Trip")
    second = notify("comments", "bob", {"text": "Nice!"}, actor="Bob")
    pgsupervise_clock.advance(DAY)
    inbox, mail = flush_due()
    assert (inbox.policy, inbox.recipient, inbox.event_ids, inbox.channel) == ("comments", "bob", (second,), "inbox")
    assert (mail.recipient, mail.event_ids, mail.channel, mail.key) == ("ann@example.com", (first,), "sendgrid", "")
    assert mail.payload["to"] == "ann@example.com"
    assert "Bob" in mail.text
    assert mail.subject
    assert Delivery.objects.get(policy="daily").provider_id == "recorded"
    assert [message.recipient for message in InboxMessage.objects.all()] == ["bob"]
    assert flush_due() == []


def test_a_channel_that_is_named_is_used(pgsupervise_clock: clock.Frozen) -> None:
    def build() -> Channel:
        raise OSError("it was asked")

    channels.register("pager", ChannelSpec(build=build))
    register(Policy(name="alarms", window=MINUTE, channel="pager", on_unknown="hold"))
    notify("alarms", "ann")
    pgsupervise_clock.advance(MINUTE)
    (digest,) = flush_due(through=["pager"])
    assert digest.state == DeliveryState.UNKNOWN


def test_a_digest_that_cannot_be_rendered_fails_the_test(pgsupervise_clock: clock.Frozen) -> None:
    def address(recipient: str) -> str:
        raise LookupError(f"no account {recipient}")

    register(Policy(name="broken", window=MINUTE, channel="sendgrid", address=address))
    notify("broken", "ann")
    notify("comments", "bob")
    pgsupervise_clock.advance(HOUR)
    with pytest.raises(DigestError, match="broken for ann: LookupError: no account ann"):
        flush_due()
    assert InboxMessage.objects.count() == 1, "it stops nobody else's"


def test_what_is_told_occurs_at_the_frozen_time_by_one_statement(db: str) -> None:
    notify("comments", "real")
    with freeze(NOON):
        with CaptureQueriesContext(connection) as queries:
            notify("comments", "one")
        assert len(queries) == 1
        notify_many("comments", [Notification("many"), Notification("own", occurred_at=NOON - DAY)])
        notify_followers("comments", Group.objects.all(), run="run", recipient_field="name")
        advance(MINUTE)
        notify("comments", "later")
    notify("comments", "after")
    at = dict(Event.objects.values_list("recipient", "occurred_at"))
    assert (at["one"], at["many"], at["own"], at["later"]) == (NOON, NOON, NOON - DAY, NOON + MINUTE)
    assert FanOut.objects.get().occurred_at == NOON
    now = clock.event_time()
    assert now - HOUR < at["real"] < at["after"] < now


def test_a_frozen_clock_that_was_rolled_back_is_not_frozen(db: str) -> None:
    with transaction.atomic():
        freeze(NOON)
        transaction.set_rollback(True)
    assert clock.is_frozen(), "nobody has told this process"
    notify("comments", "ann")
    assert Event.objects.get().occurred_at > NOON + DAY


def test_clocks_nest_and_an_error_in_the_database_is_not_hidden(db: str) -> None:
    with freeze(NOON) as outer:
        with freeze(NOON - DAY) as inner:
            assert inner.now == NOON - DAY
        assert outer.now == NOON
        assert clock.is_frozen()
        with pytest.raises(DataError), transaction.atomic(), freeze(NOON + DAY), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        assert outer.now == NOON
    assert not clock.is_frozen()


def test_the_clock_moves_on_only_when_frozen_and_never_back(db: str) -> None:
    with pytest.raises(ClockError, match=r"call freeze\(\) first"):
        advance(MINUTE)
    freeze(NOON)
    with pytest.raises(ValueError, match="only moves on"):
        advance(-MINUTE)
    with pytest.raises(TypeError, match="must be a timedelta"):
        advance(60)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match="before the year 2200"):
        advance(timedelta(days=365 * 200))
    for at, error in ((NOON.replace(tzinfo=None), ValueError), (NOON.replace(year=1800), ValueError), (7, TypeError)):
        with pytest.raises(error):
            freeze(at)  # type: ignore[arg-type]  # wrong on purpose
    assert clock.event_time() == NOON
    unfreeze()
    with pytest.raises(ClockError):
        advance(MINUTE)


def test_a_database_that_workers_serve_is_not_frozen_unless_that_is_meant(
    connect: Callable[[], psycopg.Connection],
) -> None:
    identity = worker(connect())
    with pytest.raises(ClockError, match=r"1 workers serve the database .* DEBUG is off.*although_workers_live=True"):
        freeze(NOON)
    assert Clock.objects.get().simulated_at is None
    assert not clock.is_frozen()
    with override_settings(DEBUG=True), freeze(NOON):
        pass
    with freeze(NOON, although_workers_live=True):
        pass
    age_beat(connect(), identity)
    with freeze(NOON):
        pass


def test_buckets_that_other_workers_own_are_left_to_them(connect: Callable[[], psycopg.Connection]) -> None:
    notify("comments", "ann")
    owner_of(connect(), Event.objects.get().bucket)
    with pytest.raises(RuntimeError, match="stop the supervisors"):
        flush_due()
    assert Worker.objects.filter(kind="test").count() == 0
    assert Lease.objects.exclude(owner=None).count() == 1


@pytest.mark.parametrize("name", ["shop", "latest", "contest_shop"])
def test_a_real_database_is_neither_frozen_nor_its_mail_taken_for_sent(
    db: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify("daily", "ann", occurred_at=NOON)
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    with pytest.raises(ClockError, match=rf"DEBUG is off and '{name}' is no test database: a frozen clock"):
        freeze(NOON)
    with pytest.raises(ClockError, match=rf"'{name}' is no test database: flush_due.*sendgrid.*name every channel in"):
        flush_due()
    assert not Delivery.objects.exists()
    assert Event.objects.get().state == "PENDING"
    (digest,) = flush_due(through=list(channels.known()))
    assert digest.state == DeliveryState.REFUSED, "ann is no address"
    with override_settings(DEBUG=True), freeze(NOON):
        assert flush_due() == []


@pytest.mark.parametrize("name", ["test_shop", "shop_test_3", "Shop-Test", "own"])
def test_a_database_for_tests_is_known_by_its_name(db: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    monkeypatch.setitem(connection.settings_dict, "TEST", {"NAME": "own"})
    with freeze(NOON):
        assert flush_due() == []


def test_what_was_only_recorded_is_not_explained_as_sent(pgsupervise_clock: clock.Frozen) -> None:
    event_id = notify("daily", "ann@example.com")
    pgsupervise_clock.advance(DAY)
    (digest,) = flush_due()
    assert "<html" in digest.html
    assert "<html" not in repr(digest)
    found = explain_event(event_id)
    assert found
    assert found.outcome == "recorded"
    assert found.steps[-1].what.endswith("by sendgrid: recorded by flush_due() in a test; sent nowhere")
    assert found.steps[-1].why == "attempt 1"


def test_the_channels_to_use_are_a_list_of_known_ones(db: str) -> None:
    with pytest.raises(TypeError, match="through is 'inbox': give a list of channels' names"):
        flush_due(through="inbox")
    with pytest.raises(ValueError, match=r"through names 'pigeon', which is no channel: use some of inbox, "):
        flush_due(through=["pigeon"])


def test_followers_are_told_within_the_test(db: str) -> None:
    group = Group.objects.create(name="authors")
    for name in ("ann", "bob"):
        subscribe(group, name)
    with transaction.atomic(), freeze(NOON) as frozen:
        notify_followers("comments", followers_of(group), run="post-1")
        frozen.advance(2 * MINUTE)
        assert finish_fan_outs() == 2
        assert finish_fan_outs() == 0
        frozen.advance(3 * MINUTE)
        assert sorted(digest.recipient for digest in flush_due()) == ["ann", "bob"], "the window began with the call"


class InATransactionOfItsOwn(TestCase):
    """As Django's own tests are written."""

    __test__ = False  # run by the test below, which sees to the database

    def test_a_day(self) -> None:
        with freeze(NOON):
            notify("daily", "ann")
            advance(DAY)
            (digest,) = flush_due()
        self.assertEqual(digest.recipient, "ann")  # noqa: PT009 - Django's own style


class WithEmptiedTables(TransactionTestCase):
    """Django empties all tables after such a test, those that the migrations have filled too."""

    __test__ = False

    def test_a_day(self) -> None:
        with freeze(NOON):
            notify_many("daily", [Notification("ann")])
            advance(DAY)
            (digest,) = flush_due()
        self.assertEqual(digest.recipient, "ann")  # noqa: PT009 - Django's own style


def test_tests_of_django_run_with_it(db: str) -> None:
    try:
        # The last one finds the tables as the one before has left them.
        for case in (InATransactionOfItsOwn, WithEmptiedTables, WithEmptiedTables):
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
            assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    finally:
        with connection.cursor() as cursor:
            cursor.execute(ROWS)
    assert Lease.objects.count() == 257
    assert Clock.objects.get().simulated_at is None
