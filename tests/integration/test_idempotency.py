"""Events with an idempotency key are written once, whoever tells them again, and plain ones pay nothing for that."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from pgsupervise.django_app import bulk
from pgsupervise.django_app.models import Event
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Policy, register
from tests.registries import own_registries
from tests.waiting import wait_until

Connect = Callable[[], psycopg.Connection]
pytestmark = pytest.mark.usefixtures("db")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture(autouse=True)
def policies() -> Iterator[None]:
    with own_registries():
        register(Policy(name="comments", window=timedelta(minutes=5)))
        register(Policy(name="edits", window=timedelta(minutes=5)))
        yield


def test_a_key_is_one_of_a_policy_and_a_recipient() -> None:
    first = notify("comments", "ann", {"n": 1}, idempotency_key="order-7")
    assert notify("comments", "ann", {"n": 2}, idempotency_key="order-7") == first
    others = [
        notify("comments", "bob", idempotency_key="order-7"),
        notify("edits", "ann", idempotency_key="order-7"),
        notify("comments", "ann", idempotency_key="order-8"),
        notify("comments", "ann"),
        notify("comments", "ann"),
    ]
    assert len({first, *others}) == 6 == Event.objects.count()
    assert Event.objects.get(pk=first).data == {"n": 1}, "what the second says is not written"


def test_every_column_arrives_by_every_way() -> None:
    trip = Group.objects.create(name="trip")
    fields: dict[str, Any] = {"actor": "Bob", "object": "Trip", "tenant": "acme", "about": trip}
    notify("comments", "ann", {"n": 1}, **fields)
    notify("comments", "ann", {"n": 1}, **fields, idempotency_key="a")
    assert notify_many("comments", [Notification("ann", {"n": 1}, **fields)]) == 1
    assert notify_many("comments", [Notification("ann", {"n": 1}, **fields, idempotency_key="b")]) == 1
    same = ("recipient", "policy", "key", "actor", "object", "data", "tenant", "about_type", "about_id", "state")
    (row,) = set(Event.objects.values_list(*(name for name in same if name != "data")))
    assert row == ("ann", "comments", "", "Bob", "Trip", "acme", "auth.group", str(trip.pk), "PENDING")
    assert list(Event.objects.order_by("id").values_list("idempotency_key", flat=True)) == ["", "a", "", "b"]
    assert all(event.data == {"n": 1} and event.occurred_at == event.created_at for event in Event.objects.all())


def test_a_plain_event_is_one_statement_that_knows_none_of_the_other_columns() -> None:
    with CaptureQueriesContext(connection) as queries:
        notify("comments", "ann")
    (query,) = [entry["sql"] for entry in queries]
    assert "idempotency_key" not in query
    with CaptureQueriesContext(connection) as queries:
        notify("comments", "ann", tenant="acme", idempotency_key="a")
    assert len(queries) == 1, "the key was free"


def test_many_count_what_was_written_in_the_order_in_which_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 4)
    notify("comments", "ann", idempotency_key="3")
    told = [Notification("ann", {"n": n}, idempotency_key=str(n % 6) if n % 2 else "") for n in range(12)]
    assert notify_many("comments", iter(told)) == 8, "six without a key, and 1 and 5 of the keys once"
    rows = Event.objects.exclude(data={}).order_by("id").values_list("data__n", flat=True)
    assert list(rows) == [0, 1, 2, 4, 5, 6, 8, 10]


def test_who_tells_it_at_the_same_time_gets_the_event_that_was_first(connect: Connect) -> None:
    watching, answers = connect(), list[int]()

    def again() -> None:
        answers.append(notify("comments", "ann", idempotency_key="a"))
        connections.close_all()

    with transaction.atomic():
        first = notify("comments", "ann", idempotency_key="a")
        asking = threading.Thread(target=again)
        asking.start()
        wait_until(lambda: watching.execute(WAITING).fetchone() == (1,), 10)
    asking.join(10)
    assert answers == [first]
    assert Event.objects.count() == 1


def test_where_the_first_rolls_back_the_second_is_written(connect: Connect) -> None:
    watching, answers = connect(), list[int]()

    def again() -> None:
        answers.append(notify("comments", "ann", {"n": 2}, idempotency_key="a"))
        connections.close_all()

    with transaction.atomic():
        notify("comments", "ann", idempotency_key="a")
        asking = threading.Thread(target=again)
        asking.start()
        wait_until(lambda: watching.execute(WAITING).fetchone() == (1,), 10)
        transaction.set_rollback(True)
    asking.join(10)
    assert Event.objects.values_list("id", "data").get() == (answers[0], {"n": 2})


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("many", [False, True])
def test_a_snapshot_that_cannot_see_the_first_gets_a_serialization_failure(
    connect: Connect, level: str, many: bool
) -> None:
    def tell() -> Any:
        if many:
            return notify_many("comments", [Notification("ann", idempotency_key="a")])
        return notify("comments", "ann", idempotency_key="a")

    first: list[Any] = []

    def elsewhere() -> None:
        first.append(tell())
        connections.close_all()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            cursor.execute("SELECT count(*) FROM pgsupervise_event")
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join(10)
        with pytest.raises(OperationalError, match="could not serialize"):
            tell()
        transaction.set_rollback(True)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert tell() == (0 if many else first[0]), "the same, tried again"


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"tenant": "t" * 101}, ValueError, "tenant is .* shorten it to 100"),
        ({"tenant": None}, TypeError, "tenant is None"),
        ({"tenant": "a\n"}, ValueError, "remove the character"),
        ({"idempotency_key": "k" * 201}, ValueError, "idempotency_key is .* shorten it to 200"),
        ({"idempotency_key": 7}, TypeError, r"idempotency_key is 7 \(int\)"),
        ({"about": 7}, TypeError, "about is 7"),
        ({"about": Group(name="new")}, ValueError, "about is .* is not saved"),
        ({"about": Group}, TypeError, "must be a saved instance"),
    ],
)
def test_other_values_are_refused(values: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        notify("comments", "ann", **values)
    with pytest.raises(error, match=words):
        notify_many("comments", [Notification("eve"), Notification("ann", **values)])
    assert not Event.objects.exists()
