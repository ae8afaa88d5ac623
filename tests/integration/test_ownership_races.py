"""Two sessions at the same rows at the same time: one wins, whole, and a look that is out of date takes nothing."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import psycopg
import pytest

from pgsupervise.partitions import deliveries, leases, reclaim, tasks, workers
from pgsupervise.partitions.buckets import bucket_of, partition_range
from pgsupervise.partitions.deliveries import DeliveryClaim, SentDelivery
from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import DeliveryState, TaskState
from pgsupervise.partitions.tasks import EndedTask, FailedTask
from tests.integration.world import add_task, age_beat, claim, one, owner_of, worker

Connect = Callable[[], psycopg.Connection]
T = TypeVar("T")
ROUNDS = 25
GATE = 4711
"""The advisory lock on which a held-up look waits."""


def together(*calls: Callable[[], T]) -> list[T]:
    """Make calls at the same moment and return what each returned."""
    barrier = threading.Barrier(len(calls))

    def wait_and_call(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and_call, calls))


class HeldUp:
    """A connection on which one statement is held up between its snapshot and its first row, as by a busy machine."""

    def __init__(self, connection: psycopg.Connection, name: str) -> None:
        self._connection = connection
        self._held = load(name)
        self.transaction = connection.transaction

    def execute(self, statement: str, parameters: Any = None) -> Any:
        """Run a statement; the chosen one waits at the gate."""
        if statement == self._held:
            gate = f"WHERE (SELECT pg_advisory_xact_lock_shared({GATE}) IS NOT NULL) AND"
            statement, found = re.subn(r"^(\s*)WHERE\b", rf"\1{gate}", statement, count=1, flags=re.M)
            assert found
        return self._connection.execute(statement.encode(), parameters)


@contextmanager
def held_up(connect: Connect, name: str, call: Callable[[Any], T]) -> Iterator[Future[T]]:
    """Make a call whose look at the tables is older than all that is done in the `with` block."""
    gate = connect()
    with ThreadPoolExecutor(1) as pool:
        gate.execute("SELECT pg_advisory_lock(%s)", [GATE])
        found = pool.submit(call, HeldUp(connect(), name))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        while not found.done() and not one(gate, waiting, GATE):
            time.sleep(0.005)
        try:
            yield found
        finally:
            gate.execute("SELECT pg_advisory_unlock(%s)", [GATE])


@pytest.mark.parametrize("booted_before", [True, False])
def test_a_late_look_frees_no_bucket_of_a_live_heir(connect: Connect, booted_before: bool) -> None:
    connection = connect()
    owner, _ = owner_of(connection, 0)
    heir = worker(connection) if booted_before else None
    workers.bury_worker(connection, owner, "signal:SIGKILL", None)
    with held_up(connect, "free_leases_of_the_dead", leases.free_leases_of_the_dead) as freed:
        assert leases.free_leases_of_the_dead(connection) == [0]
        heir = heir or worker(connection)
        assert leases.acquire_leases(connection, heir, [0])
    assert freed.result() == []
    assert one(connection, "SELECT owner_id FROM pgsupervise_lease WHERE bucket = 0") == heir


@pytest.mark.parametrize("booted_before", [True, False])
def test_a_late_look_reclaims_no_task_of_a_live_heir(connect: Connect, booted_before: bool) -> None:
    connection, sweep = connect(), partial(reclaim.reclaim, safe_channels=[], resend_policies=[])
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    claim(connection, owner, epochs[0])
    heir = worker(connection) if booted_before else None
    workers.bury_worker(connection, owner, "signal:SIGKILL", None)
    with held_up(connect, "lost_tasks", sweep) as found:
        leases.free_leases_of_the_dead(connection)
        assert sweep(connection).tasks == 1
        heir = heir or worker(connection)
        epochs = leases.acquire_leases(connection, heir, [0])
        (task,) = claim(connection, heir, epochs[0])
    assert found.result() == reclaim.Reclaimed()
    assert finish(connection, EndedTask(task, TaskState.DONE)) == {task.id}


@pytest.mark.parametrize("booted_before", [True, False])
def test_a_late_look_takes_no_delivery_from_a_live_sender(connect: Connect, booted_before: bool) -> None:
    """It would be sent a second time, although the first sender is well and knows that it was accepted."""
    connection = connect()
    bucket, sweep = bucket_of("ann"), partial(reclaim.reclaim, safe_channels=["inbox"], resend_policies=[])
    connection.execute(
        "INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload)"
        " VALUES (%s, 1, 'p', 'ann', 'inbox', '{}')",
        [bucket],
    )
    owner, epochs = owner_of(connection, bucket)
    claim = DeliveryClaim(bucket, epochs[bucket], ["inbox"], 1)
    ((_,),) = deliveries.claim_deliveries(connection, owner, [claim])
    heir = worker(connection) if booted_before else None
    workers.bury_worker(connection, owner, "signal:SIGKILL", None)
    with held_up(connect, "reclaim_deliveries", sweep) as found:
        leases.free_leases_of_the_dead(connection)
        assert sweep(connection).deliveries == 1
        heir = heir or worker(connection)
        epoch = leases.acquire_leases(connection, heir, [bucket])[bucket]
        ((sending,),) = deliveries.claim_deliveries(connection, heir, [claim._replace(epoch=epoch)])
    assert found.result() == reclaim.Reclaimed()
    sent = [SentDelivery(sending, DeliveryState.ACCEPTED)]
    assert deliveries.finish_deliveries(connection, heir, {(bucket, epoch): sent}) == {sending.id}


def finish(connection: psycopg.Connection, ended: EndedTask) -> set[int]:
    with connection.transaction():
        return tasks.finish_tasks(connection, 0, [ended])


def test_a_claim_is_ended_once_by_whichever_end_comes_first(connect: Connect) -> None:
    """Done twice, failed, given back, released as unheld, and reclaimed: one of them takes effect and says so."""
    lanes = [connect() for _ in range(6)]
    for _ in range(ROUNDS):
        owner, epochs = owner_of(lanes[0], 0)
        add_task(lanes[0], 0)
        (task,) = claim(lanes[0], owner, epochs[0])
        workers.bury_worker(lanes[0], owner, "signal:SIGKILL", None)
        done, failed = EndedTask(task, TaskState.DONE), FailedTask(task, timedelta(hours=1), "x", "y")
        ends = together(
            lambda: len(finish(lanes[0], done)),  # noqa: B023 - called before the next round
            lambda: len(finish(lanes[1], done)),  # noqa: B023
            lambda: len(tasks.retry_tasks(lanes[2], 0, [failed])),  # noqa: B023
            lambda: len(tasks.give_back_tasks(lanes[3], 0, [task])),  # noqa: B023
            lambda: len(tasks.release_unheld_tasks(lanes[4], owner, [])),  # noqa: B023
            lambda: reclaim.reclaim(lanes[5], safe_channels=[], resend_policies=[]).tasks,
        )
        assert sum(ends) == 1
        assert one(lanes[0], COPIES) == (1, 0)
        lanes[0].execute("DELETE FROM pgsupervise_task")
        lanes[0].execute("DELETE FROM pgsupervise_finishedtask")
        leases.free_leases_of_the_dead(lanes[0])


COPIES = """
SELECT (SELECT count(*) FROM pgsupervise_task) + (SELECT count(*) FROM pgsupervise_finishedtask),
    (SELECT count(*) FROM pgsupervise_task WHERE state = 'IN PROGRESS')
"""


def test_partitions_of_different_counts_are_taken_whole_or_not_and_no_epoch_twice(connect: Connect) -> None:
    """A rolling update from 3 to 8 partitions, at its worst moment: all want the same buckets, again and again."""
    rivals = [(connect(), worker(connect()), count) for count in (1, 3, 3, 8, 8, 16)]
    given: list[tuple[int, int]] = []

    def want(connection: psycopg.Connection, identity: Any, count: int) -> list[tuple[int, int]]:
        got: list[tuple[int, int]] = []
        for _ in range(ROUNDS):
            wanted = partition_range(count // 2, count)
            taken = leases.acquire_leases(connection, identity, wanted)
            assert set(taken) in (set(), set(wanted))
            assert leases.release_leases(connection, identity, wanted) == set(taken)
            got += taken.items()
        return got

    for taken in together(*(partial(want, *rival) for rival in rivals)):
        given += taken
    assert given
    assert len(given) == len(set(given)), "two acquisitions got the same epoch"


def test_a_beat_and_a_burial_exclude_each_other(connect: Connect) -> None:
    lanes = connect(), connect(), connect()
    for _ in range(ROUNDS):
        identity = worker(lanes[0])
        age_beat(lanes[0], identity)
        beaten, buried, buried_too = together(
            partial(workers.beat, lanes[0], identity, draining=False, running_task=None),
            lambda: identity in workers.bury_silent_workers(lanes[1], workers.silent_workers(lanes[1])),  # noqa: B023
            lambda: identity in workers.bury_silent_workers(lanes[2], workers.silent_workers(lanes[2])),  # noqa: B023
        )
        assert beaten + buried + buried_too == 1


def test_a_burial_in_the_middle_of_acquisitions_leaves_the_dead_nothing_for_long(connect: Connect) -> None:
    lanes = connect(), connect()
    for _ in range(ROUNDS):
        identity = worker(lanes[0])
        taken, _ = together(
            partial(leases.acquire_leases, lanes[0], identity, range(8)),
            lambda: {0: int(workers.bury_worker(lanes[1], identity, "signal:SIGKILL", None))},  # noqa: B023
        )
        # A burial that met the acquisition's lock was left for later.
        workers.bury_worker(lanes[1], identity, "signal:SIGKILL", None)
        assert sorted(leases.free_leases_of_the_dead(lanes[1])) == sorted(taken)
        assert leases.acquire_leases(lanes[0], identity, range(8)) == {}


def test_a_bucket_is_not_freed_in_the_middle_of_a_claim(connect: Connect) -> None:
    """The statement of a killed worker runs on: an heir would skip what it has locked, and run the rest first."""
    dying, keeper, heir = connect(), connect(), connect()
    owner, epochs = owner_of(dying, 0)
    for _ in range(4):
        add_task(keeper, 0)
    dying.execute("BEGIN")
    first, second = claim(dying, owner, epochs[0], limit=2)
    workers.bury_worker(keeper, owner, "signal:SIGKILL", None)
    assert leases.free_leases_of_the_dead(keeper) == [], "it waits for the next pass"
    dying.execute("COMMIT")
    assert leases.free_leases_of_the_dead(keeper) == [0]
    assert reclaim.reclaim(keeper, safe_channels=[], resend_policies=[]).tasks == 2
    successor, epochs = owner_of(heir, 0)
    assert [task.id for task in claim(heir, successor, epochs[0])][:2] == [first.id, second.id]
