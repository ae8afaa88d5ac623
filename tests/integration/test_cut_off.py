"""A process stopped in the middle of a transaction, tasks ended by force: nobody waits, nothing is lost."""

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from pgsupervise.partitions import cancelling, leases, reclaim, tasks, workers
from pgsupervise.partitions.connection import is_lost
from pgsupervise.partitions.states import TaskState
from tests.integration.world import add_task, claim, one, owner_of, worker
from tests.waiting import wait_until

Connect = Callable[[], psycopg.Connection]


def sweep(connection: psycopg.Connection, dead_on_timeout: tuple[str, ...] = ()) -> reclaim.Reclaimed:
    return reclaim.reclaim(connection, safe_channels=[], resend_policies=[], dead_on_timeout=dead_on_timeout)


def test_an_owner_stopped_in_a_transaction_holds_up_neither_the_other_buckets_nor_its_own_for_long(
    connect: Connect,
) -> None:
    stopped, keeper = connect(), connect()
    owner, epochs = owner_of(stopped, 0, 1)
    stopped.execute("BEGIN")
    assert leases.hold_lease(stopped, 0, owner, epochs[0])
    workers.bury_worker(keeper, owner, "silence", None)
    keeper.execute("SET lock_timeout = '20s'")
    assert leases.free_leases_of_the_dead(keeper) == [1], "it does not wait for the locked one"
    wait_until(lambda: leases.free_leases_of_the_dead(keeper) == [0], 30, "the server has ended the silent session")
    with pytest.raises(psycopg.Error) as caught:
        stopped.execute("COMMIT")
    assert is_lost(caught.value), "it opens another connection and goes on"
    assert one(keeper, "SELECT count(*) FROM pgsupervise_lease WHERE owner_id = %s", owner) == 0


def test_a_worker_stopped_while_it_finishes_holds_its_tasks_up_for_seconds_only(connect: Connect) -> None:
    stopped, keeper = connect(), connect()
    owner, epochs = owner_of(stopped, 0)
    for _ in range(2):
        add_task(keeper, 0)
    first, second = claim(stopped, owner, epochs[0])
    stopped.execute("BEGIN")
    tasks.finish_tasks(stopped, 0, [tasks.EndedTask(first, TaskState.DONE)])
    workers.bury_worker(keeper, owner, "silence", first.id)
    assert sweep(keeper) == reclaim.Reclaimed(tasks=1)
    assert one(keeper, "SELECT state FROM pgsupervise_task WHERE id = %s", second.id) == "READY"
    wait_until(lambda: sweep(keeper) == reclaim.Reclaimed(tasks=1), 30, "the server has ended the silent session")
    assert one(keeper, "SELECT state, crashes FROM pgsupervise_task WHERE id = %s", first.id) == ("READY", 1)
    assert one(keeper, "SELECT count(*) FROM pgsupervise_finishedtask") == 0


def test_every_transaction_that_holds_rows_is_bounded_by_the_server(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    (task,) = claim(connection, owner, epochs[0])
    for write in (
        lambda: tasks.retry_tasks(connection, 0, [tasks.FailedTask(task, timedelta(0), "x", "")]),
        lambda: tasks.finish_tasks(connection, 0, [tasks.EndedTask(task, TaskState.DONE)]),
        lambda: leases.hold_lease(connection, 0, owner, epochs[0]),
    ):
        with connection.transaction(force_rollback=True):
            assert write()
            assert one(connection, "SHOW idle_in_transaction_session_timeout") == "3s"
    assert one(connection, "SHOW idle_in_transaction_session_timeout") == "0", "and nothing is left of it"


def test_what_somebody_holds_locked_is_not_written_and_is_still_ours(connect: Connect) -> None:
    connection, other = connect(), connect()
    owner, epochs = owner_of(connection, 0)
    for _ in range(2):
        add_task(connection, 0)
    locked, free = claim(connection, owner, epochs[0])
    with other.transaction():
        other.execute("SELECT 1 FROM pgsupervise_task WHERE id = %s FOR UPDATE", [locked.id])
        ended = [tasks.EndedTask(task, TaskState.DONE) for task in (locked, free)]
        assert tasks.finish_tasks(connection, 0, ended) == {free.id}
        assert tasks.retry_tasks(connection, 0, [tasks.FailedTask(locked, timedelta(0), "x", "")]) == set()
        assert tasks.give_back_tasks(connection, 0, [locked]) == set()
        assert tasks.release_unheld_tasks(connection, owner, []) == []
        assert tasks.held_tasks(connection, 0, [locked, free]) == {locked.id}
    assert tasks.finish_tasks(connection, 0, ended) == {locked.id}


@pytest.mark.parametrize(
    ("attempts", "dead_on_timeout", "end"), [(5, (), "SCHEDULED"), (1, (), "DEAD"), (5, ("t",), "DEAD")]
)
def test_a_task_that_its_worker_was_killed_for_has_failed_once_and_its_neighbour_has_not(
    connect: Connect, attempts: int, dead_on_timeout: tuple[str, ...], end: str
) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    late = add_task(connection, 0, max_attempts=attempts)
    neighbour = add_task(connection, 0)
    claim(connection, owner, epochs[0])
    workers.bury_worker(connection, owner, reclaim.TIMEOUT, late)
    assert sweep(connection, dead_on_timeout) == reclaim.Reclaimed(tasks=1, timed_out=1)
    table = "pgsupervise_finishedtask" if end == "DEAD" else "pgsupervise_task"
    row = one(connection, f"SELECT state, attempt, crashes, error FROM {table} WHERE id = %s", late)  # noqa: S608
    assert row == (end, 1, 0, "killed: it ran longer than its hard timeout")
    assert one(connection, "SELECT state, attempt FROM pgsupervise_task WHERE id = %s", neighbour) == ("READY", 0)


def test_a_bucket_s_lost_tasks_become_ready_in_order_however_small_the_chunk(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    ids = [add_task(connection, 0, priority=-number) for number in range(6)]
    claim(connection, owner, epochs[0])
    workers.bury_worker(connection, owner, "signal:SIGKILL", None)
    back: list[int] = []
    while reclaim.reclaim(connection, safe_channels=[], resend_policies=[], limit=2).tasks:
        ready = connection.execute("SELECT id FROM pgsupervise_task WHERE state = 'READY'").fetchall()
        back += [id_ for (id_,) in ready if id_ not in back]
        assert set(back) == set(ids[-len(back) :]), "the highest priorities first"
    assert len(back) == 6


def test_what_is_to_be_cancelled_is_not_claimed_and_goes_to_the_archive(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    held = add_task(connection, 0)
    claim(connection, owner, epochs[0])
    ready, later = add_task(connection, 0), add_task(connection, 0, state="SCHEDULED")
    other = add_task(connection, 0)
    connection.execute("UPDATE pgsupervise_task SET cancel_requested_at = now() WHERE id <> %s", [other])
    assert [task.id for task in claim(connection, owner, epochs[0], limit=1)] == [other]
    assert cancelling.cancelled_claims(connection, owner) == {held}
    assert cancelling.cancelled_claims(connection, worker(connection)) == set()
    assert cancelling.archive_cancelled_tasks(connection) == ["t", "t"]
    archived = connection.execute("SELECT id, state, attempt, worker FROM pgsupervise_finishedtask ORDER BY id")
    assert archived.fetchall() == [(ready, "CANCELLED", 0, None), (later, "CANCELLED", 0, None)]
    workers.bury_worker(connection, owner, reclaim.CANCELLED, held)
    assert sweep(connection) == reclaim.Reclaimed(tasks=1, cancelled=1)
    assert one(
        connection, "SELECT state, error, attempt, worker FROM pgsupervise_finishedtask WHERE id = %s", held
    ) == (
        "CANCELLED",
        "cancelled while it ran",
        1,
        owner,
    )
