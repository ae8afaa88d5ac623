"""Claiming and finishing: each write about a task is fenced by its claim token."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ValidationError
from psycopg.types.json import Jsonb

from pgsupervise.django_app.models import Task
from pgsupervise.partitions import leases, reclaim, tasks, workers
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import TaskState
from pgsupervise.partitions.tasks import EndedTask, FailedTask
from tests.integration.world import add_task, claim, one, owner_of

Connect = Callable[[], psycopg.Connection]
NOTHING = reclaim.Reclaimed()


def finish(connection: psycopg.Connection, *claimed: ClaimedTask) -> set[int]:
    with connection.transaction():
        return tasks.finish_tasks(connection, 0, [EndedTask(task, TaskState.DONE) for task in claimed])


def sweep(connection: psycopg.Connection) -> reclaim.Reclaimed:
    return reclaim.reclaim(connection, safe_channels=[], resend_policies=[])


def test_a_chunk_comes_in_order_of_priority_and_id_and_shows_in_progress(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    late, urgent, early = (add_task(connection, 0, priority=priority) for priority in (5, -5, 5))
    assert [task.id for task in claim(connection, owner, epochs[0], limit=2)] == [urgent, late]
    state = one(
        connection, "SELECT state, claimed_by, attempt, claim_token FROM pgsupervise_task WHERE id = %s", urgent
    )
    assert state == ("IN PROGRESS", owner, 1, 1)
    assert [task.id for task in claim(connection, owner, epochs[0])] == [early]


def test_a_claim_starts_behind_its_watermark(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    first, second = add_task(connection, 0), add_task(connection, 0)
    claimed, reached = tasks.claim_tasks(
        connection, tasks.Claim(bucket=0, owner=owner, epoch=epochs[0], names=["t"], limit=9, after=(0, first))
    )
    assert [task.id for task in claimed] == [second]
    assert reached == (0, second)


def test_nothing_is_claimed_under_an_old_epoch_from_another_bucket_or_with_an_unknown_name(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0, "unheard of")
    add_task(connection, 1)
    assert claim(connection, owner, epochs[0]) == []
    add_task(connection, 0)
    assert claim(connection, owner, epochs[0] - 1) == []
    assert tasks.unknown_tasks(connection, owner, ["t"]) == [("unheard of", 1)]


def test_arguments_that_python_cannot_decode_are_claimed_with_their_neighbours(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    texts = ["[" * 3000 + "]" * 3000, "[" + "1" * 5001 + "]", '["fine"]']
    for text in texts:
        add_task(connection, 0, args=text)
    assert [task.args_json for task in claim(connection, owner, epochs[0])] == texts


@pytest.mark.parametrize("columns", [{"args": {}}, {"args": None}, {"kwargs": []}, {"kwargs": "text"}], ids=str)
def test_arguments_that_no_function_takes_are_refused_when_written(connect: Connect, columns: dict[str, Any]) -> None:
    (column,) = columns
    with pytest.raises(psycopg.errors.CheckViolation, match=f"pgsupervise_task_{column}"):
        add_task(connect(), 0, "t", **{column: Jsonb(columns[column])})
    Task(name="t", bucket=0).full_clean()
    with pytest.raises(ValidationError, match=f"pgsupervise_task_{column}"):
        Task(name="t", bucket=0, **columns).validate_constraints()


def test_a_row_that_somebody_else_has_locked_is_skipped(connect: Connect) -> None:
    connection, other = connect(), connect()
    owner, epochs = owner_of(connection, 0)
    held, free = add_task(connection, 0), add_task(connection, 0)
    with other.transaction():
        other.execute("SELECT 1 FROM pgsupervise_task WHERE id = %s FOR UPDATE", [held])
        assert [task.id for task in claim(connection, owner, epochs[0])] == [free]


def test_done_moves_to_the_archive_in_one_transaction(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    (task,) = claim(connection, owner, epochs[0])
    assert finish(connection, task) == {task.id}
    assert one(connection, "SELECT count(*) FROM pgsupervise_task") == 0
    assert one(connection, "SELECT state, attempt, worker FROM pgsupervise_finishedtask") == ("DONE", 1, owner)


def test_finishing_twice_or_with_an_old_token_changes_nothing(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    (task,) = claim(connection, owner, epochs[0])
    assert finish(connection, task._replace(claim_token=task.claim_token - 1)) == set()
    assert finish(connection, task) == {task.id}
    assert finish(connection, task) == set()
    assert one(connection, "SELECT count(*) FROM pgsupervise_finishedtask") == 1


def test_a_retry_waits_out_its_delay_and_keeps_the_error(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    (task,) = claim(connection, owner, epochs[0])
    failed = FailedTask(task, timedelta(hours=1), "ValueError: no", "the traceback")
    assert tasks.retry_tasks(connection, 0, [failed]) == {task.id}
    assert tasks.retry_tasks(connection, 0, [failed]) == set()
    row = one(connection, "SELECT state, error, traceback, attempt, run_at > now() FROM pgsupervise_task")
    assert row == ("SCHEDULED", "ValueError: no", "the traceback", 1, True)
    assert tasks.promote_tasks(connection, 0) == 0
    connection.execute("UPDATE pgsupervise_task SET run_at = now() - interval '1 s'")
    assert [(probe.ready, probe.due) for probe in tasks.probe_tasks(connection, {0: tasks.START}, ["t"])] == [
        (False, True)
    ]
    assert tasks.promote_tasks(connection, 0) == 1
    assert claim(connection, owner, epochs[0])[0].attempt == 2


def test_giving_back_burns_no_attempt_and_refuses_the_late_result(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    (task,) = claim(connection, owner, epochs[0])
    assert tasks.give_back_tasks(connection, 0, [task]) == {task.id}
    assert one(connection, "SELECT state, attempt FROM pgsupervise_task") == ("READY", 0)
    assert finish(connection, task) == set()


def test_a_claim_whose_reply_was_lost_is_found_again(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    add_task(connection, 0)
    kept, lost = claim(connection, owner, epochs[0])
    assert tasks.release_unheld_tasks(connection, owner, [kept.id]) == [lost.id]
    assert one(connection, "SELECT attempt FROM pgsupervise_task WHERE state = 'READY'") == 0


def test_the_claims_of_the_dead_are_reclaimed_and_a_zombie_changes_nothing(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    add_task(connection, 0)
    running, waiting = claim(connection, owner, epochs[0])
    assert sweep(connection) == NOTHING, "a live worker's claims are nobody else's business"
    workers.bury_worker(connection, owner, "signal:SIGKILL", running.id)
    assert leases.free_leases_of_the_dead(connection) == [0]
    assert sweep(connection) == reclaim.Reclaimed(tasks=2)
    rows = connection.execute("SELECT id, state, attempt, crashes, error FROM pgsupervise_task ORDER BY id").fetchall()
    assert rows == [
        (running.id, "READY", 0, 1, "its worker ended: signal:SIGKILL"),
        (waiting.id, "READY", 0, 0, ""),
    ]
    assert finish(connection, running, waiting) == set(), "the zombie's results are refused"
    assert tasks.retry_tasks(connection, 0, [FailedTask(running, timedelta(0), "x", "y")]) == set()
    assert tasks.give_back_tasks(connection, 0, [running]) == set()
    heir, again = owner_of(connection, 0)
    assert len(claim(connection, heir, again[0])) == 2


def test_a_task_that_kills_three_workers_is_dead_with_the_cause(connect: Connect) -> None:
    connection = connect()
    add_task(connection, 0)
    for crash in range(1, reclaim.POISON_LIMIT + 1):
        owner, epochs = owner_of(connection, 0)
        (task,) = claim(connection, owner, epochs[0])
        workers.bury_worker(connection, owner, "signal:SIGSEGV", task.id)
        leases.free_leases_of_the_dead(connection)
        found = sweep(connection)
        assert found == (reclaim.Reclaimed(poisoned=1) if crash == reclaim.POISON_LIMIT else reclaim.Reclaimed(tasks=1))
    state, crashes, error = one(connection, "SELECT state, crashes, error FROM pgsupervise_finishedtask")
    assert (state, crashes) == ("DEAD", reclaim.POISON_LIMIT)
    assert "signal:SIGSEGV" in error


def test_two_reclaims_at_once_bring_each_task_back_once(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    for _ in range(200):
        add_task(connection, 0)
    claim(connection, owner, epochs[0], limit=200)
    workers.bury_worker(connection, owner, "silence", None)
    found: list[reclaim.Reclaimed] = []
    threads = [threading.Thread(target=lambda: found.append(sweep(connect()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one_pass.tasks for one_pass in found) == 200
    assert one(connection, "SELECT min(claim_token), max(claim_token) FROM pgsupervise_task") == (2, 2)


def test_only_the_token_tells_a_zombie_from_the_heir_and_it_does(connect: Connect) -> None:
    """The row is IN PROGRESS again: its state alone would let the former holder's writes pass."""
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    add_task(connection, 0)
    (old,) = claim(connection, owner, epochs[0])
    assert tasks.give_back_tasks(connection, 0, [old]) == {old.id}
    (new,) = claim(connection, owner, epochs[0])
    assert finish(connection, old) == set()
    assert tasks.retry_tasks(connection, 0, [FailedTask(old, timedelta(0), "x", "y")]) == set()
    assert tasks.give_back_tasks(connection, 0, [old]) == set()
    lost = {"ids": [old.id], "tokens": [old.claim_token], "crashes": [1], "errors": ["x"]}
    assert connection.execute(load("reclaim_tasks"), lost).fetchall() == []
    assert finish(connection, new) == {new.id}
