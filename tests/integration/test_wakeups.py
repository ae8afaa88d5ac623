"""Who enqueues wakes the owner that sleeps, once its task can be seen; nobody else is disturbed, nothing is missed."""

import select
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, transaction
from django.db import connection as django_connection
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.django_app import waking as waking_module
from pgsupervise.django_app.enqueueing import _INSERT_WAKING
from pgsupervise.django_app.waking import waking
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.connection import Connection, connect
from pgsupervise.supervisor.sleep import Sleep
from tests.project.tasks import record

Connect = Callable[[], psycopg.Connection]
MINE = bucket_of("mine")
TASK = record.using(key="mine")
OTHERS = record.using(key="others")
OWNED = {MINE: 1, 255: 1}.keys()


@pytest.fixture
def owner(db: str) -> Iterator[Connection]:
    with closing(connect(conninfo_to_dict(db), "owner")) as opened:
        yield opened


def heard(sleep: Sleep, owner: Connection) -> list[int]:
    owner.execute("SELECT 1")  # what was committed before has arrived with the answer
    return sleep.heard(owner)


def test_a_sleeping_owner_hears_of_its_tasks_and_of_no_other(owner: Connection) -> None:
    sleep = Sleep()
    TASK.enqueue(1, 0)
    assert not sleep.is_deep(owner)
    assert sleep.begin(owner, OWNED)
    assert sleep.is_deep(owner)
    OTHERS.enqueue(1, 0)
    assert heard(sleep, owner) == []
    TASK.enqueue(1, 0)
    assert heard(sleep, owner) == [MINE]
    assert TASK.enqueue_many([(1, 0)] * 3) == 3
    assert heard(sleep, owner) == [MINE], "once, however many there are"


def test_what_arrives_while_nothing_is_asked_is_heard_without_a_statement(owner: Connection) -> None:
    sleep = Sleep()
    assert sleep.begin(owner, OWNED)
    TASK.enqueue(1, 0)
    readable, _, _ = select.select([owner.fileno()], [], [], 60)
    assert readable
    assert sleep.heard(owner) == [MINE]
    assert sleep.heard(owner) == []


def test_an_owner_that_is_awake_is_not_disturbed(owner: Connection) -> None:
    sleep = Sleep()
    assert sleep.begin(owner, OWNED)
    sleep.end(owner)
    assert not sleep.is_deep(owner)
    TASK.enqueue(1, 0)
    with transaction.atomic():
        TASK.enqueue(1, 0)
    TASK.enqueue_many([(1, 0)])
    assert heard(sleep, owner) == []


def test_nobody_is_woken_before_the_commit_nor_by_a_rollback(owner: Connection) -> None:
    sleep = Sleep()
    assert sleep.begin(owner, OWNED)
    with transaction.atomic():
        TASK.enqueue(1, 0)
        TASK.enqueue_many([(1, 0)])
        assert heard(sleep, owner) == []
    assert heard(sleep, owner) == [MINE]
    with transaction.atomic():
        TASK.enqueue(1, 0)
        transaction.set_rollback(True)
    assert heard(sleep, owner) == []


@pytest.mark.parametrize("run_at", [timedelta(seconds=0.3), datetime.now(UTC) - timedelta(days=1)])
def test_a_task_whose_time_comes_before_the_next_look_wakes_its_owner(
    owner: Connection, run_at: timedelta | datetime
) -> None:
    sleep = Sleep()
    assert sleep.begin(owner, OWNED)
    TASK.using(run_at=run_at).enqueue(1, 0)
    assert heard(sleep, owner) == [MINE]
    TASK.using(run_at=run_at).enqueue_many([(1, 0)])
    assert heard(sleep, owner) == [MINE]


def test_a_task_that_is_scheduled_for_later_wakes_nobody(owner: Connection) -> None:
    sleep = Sleep()
    assert sleep.begin(owner, OWNED)
    TASK.using(run_at=timedelta(hours=1)).enqueue(1, 0)
    TASK.using(run_at=timedelta(hours=1)).enqueue_many([(1, 0)])
    assert heard(sleep, owner) == []


def test_an_owner_does_not_fall_asleep_before_it_could_see_what_nobody_wakes_it_for(
    owner: Connection, connect: Connect
) -> None:
    enqueuer = connect()
    values = [MINE, "t", "mine", "[]", "{}", 0, 5, *waking(MINE)]
    enqueuer.execute("BEGIN")
    # The statement of an enqueue() that is its own transaction, in the moment before its commit.
    row = enqueuer.execute(_INSERT_WAKING.encode(), values).fetchone()
    assert row is not None
    assert row[1] is None, "it notifies nobody: the owner is awake"
    sleep = Sleep()
    assert not sleep.begin(owner, OWNED)
    assert not sleep.is_deep(owner)
    with django_connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'")
        assert cursor.fetchone() == (0,), "all of its buckets or none"
    enqueuer.execute("COMMIT")
    assert sleep.begin(owner, OWNED)


def test_other_buckets_and_another_session_begin_anew(owner: Connection, db: str) -> None:
    sleep = Sleep()
    assert sleep.begin(owner, {255: 1}.keys())
    assert sleep.covers(owner, {255: 1}.keys())
    assert not sleep.covers(owner, OWNED), "what has come since must be looked at"
    TASK.enqueue(1, 0)
    assert heard(sleep, owner) == []
    assert sleep.begin(owner, OWNED)
    TASK.enqueue(1, 0)
    assert heard(sleep, owner) == [MINE]
    owner.close()
    with closing(connect(conninfo_to_dict(db), "another")) as another:
        assert not sleep.is_deep(another)
        assert sleep.begin(another, OWNED)
        TASK.enqueue(1, 0)
        assert heard(sleep, another) == [MINE]


def test_two_owners_of_a_bucket_do_not_both_sleep(owner: Connection, db: str) -> None:
    """One of the two is mistaken, and finds its leases lost soon; until then the other one looks for itself."""
    assert Sleep().begin(owner, OWNED)
    with closing(connect(conninfo_to_dict(db), "another")) as another:
        assert not Sleep().begin(another, OWNED)


def test_behind_a_pooler_nobody_sleeps(owner: Connection) -> None:
    owner.prepare_threshold = None  # what connect() makes of a session that is not ours alone
    assert not Sleep().begin(owner, OWNED)


def test_a_wake_up_that_fails_after_the_commit_is_no_fault_of_the_caller(
    owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(connection: object, buckets: object) -> None:
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(waking_module, "_notify", lost)
    with transaction.atomic():
        TASK.enqueue(1, 0)
    assert owner.execute("SELECT count(*) FROM pgsupervise_task").fetchone() == (1,)
