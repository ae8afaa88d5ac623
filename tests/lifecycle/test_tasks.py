"""Tasks through a real supervisor: run once, retried, reclaimed, never lost."""

import os
import random
import signal
import time
from contextlib import suppress

import psycopg
import pytest

from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import first_pid, owners
from tests.project.tasks import (
    fail,
    ignore_term,
    kill_own_process,
    leave_a_broken_transaction,
    record,
    terminate_a_child,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle


def finished(watch: psycopg.Connection) -> dict[str, int]:
    return dict(watch.execute("SELECT state, count(*) FROM pgsupervise_finishedtask GROUP BY 1").fetchall())


def live(watch: psycopg.Connection) -> int:
    row = watch.execute("SELECT count(*) FROM pgsupervise_task").fetchone()
    assert row
    return int(row[0])


def hurry(watch: psycopg.Connection) -> None:
    """Let retries not wait out their backoff."""
    watch.execute("UPDATE pgsupervise_task SET run_at = now() WHERE state = 'SCHEDULED'")


def test_each_task_runs_once_and_is_done(start: Start, watch: psycopg.Connection) -> None:
    record.enqueue_many((number,) for number in range(500))
    start()
    wait_until(lambda: finished(watch) == {"DONE": 500}, 60)
    rows = watch.execute("SELECT count(*), count(DISTINCT number), count(ended) FROM ledger").fetchone()
    assert rows == (500, 500, 500)


def test_a_failing_task_is_retried_then_dead_with_its_last_error(start: Start, watch: psycopg.Connection) -> None:
    fail.enqueue(7)
    supervisor = start()

    def is_dead() -> bool:
        hurry(watch)
        return finished(watch) == {"DEAD": 1}

    wait_until(is_dead, 60)
    row = watch.execute("SELECT attempt, error, traceback FROM pgsupervise_finishedtask").fetchone()
    assert row
    assert row[:2] == (3, "ValueError: number 7 is not to my taste")
    assert "in fail" in row[2]
    assert watch.execute("SELECT count(*) FROM ledger").fetchone() == (3,)
    supervisor.logged(
        r'level=warning .*"task failed: it is tried again" task=tests.project.tasks.fail .* attempt=1 of=3'
    )
    supervisor.logged(r'level=error .*"task dead" task=tests.project.tasks.fail .*not to my taste')


def test_a_task_that_breaks_its_transaction_does_not_hurt_the_next_one(start: Start, watch: psycopg.Connection) -> None:
    leave_a_broken_transaction.using(max_attempts=1, priority=-1, key="same").enqueue(1)
    record.using(key="same").enqueue(2)
    start(partitions=1)
    wait_until(lambda: finished(watch) == {"DEAD": 1, "DONE": 1}, 60)


def test_a_task_that_kills_its_worker_is_dead_after_three(start: Start, watch: psycopg.Connection) -> None:
    kill_own_process.using(key="same").enqueue(1)
    record.enqueue_many((number,) for number in range(50))
    start()
    wait_until(lambda: finished(watch) == {"DEAD": 1, "DONE": 50}, 60)
    row = watch.execute("SELECT crashes, attempt, error FROM pgsupervise_finishedtask WHERE state = 'DEAD'").fetchone()
    assert row
    assert row[0] == 3
    assert "SIGKILL" in row[2]
    assert watch.execute("SELECT count(*) FROM ledger WHERE number = 1 AND ended IS NULL").fetchone() == (3,)


def test_2000_tasks_survive_workers_killed_at_random_and_each_double_run_is_due_to_a_kill(
    start: Start, watch: psycopg.Connection
) -> None:
    record.enqueue_many((number, 0.002) for number in range(2000))
    supervisor, rand, killed = start(), random.Random(2000), set()
    while live(watch):
        pids = sorted(supervisor.workers(watch).values())
        if len(pids) >= 2:
            victim = rand.choice(pids)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
        time.sleep(0.4)
        hurry(watch)
    assert finished(watch) == {"DONE": 2000}
    assert len(killed) >= 3
    runs = watch.execute("SELECT number, pid, ended FROM ledger ORDER BY number, began").fetchall()
    assert {number for number, _, _ in runs} == set(range(2000)), "every task has run"
    by_number: dict[int, list[int]] = {}
    for number, pid, _ in runs:
        by_number.setdefault(number, []).append(pid)
    doubles = {number: pids for number, pids in by_number.items() if len(pids) > 1}
    for number, pids in doubles.items():
        assert set(pids[:-1]) <= killed, f"task {number} ran again although {pids} were not all killed"
    assert supervisor.stop() == 0


def test_the_tasks_of_a_killed_worker_run_elsewhere_at_once(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start("--beat", "3", "--dead-after", "600")  # silence is out of the question here
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)
    record.enqueue(1, 3600)
    pid = first_pid(watch)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: watch.execute("SELECT 1 FROM ledger WHERE pid <> %s", [pid]).fetchone(), 60)
    row = watch.execute("SELECT state, crashes, attempt FROM pgsupervise_task").fetchone()
    assert row == ("IN PROGRESS", 1, 1)
    assert "reason=signal:SIGKILL" in supervisor.log
    supervisor.stop_now()  # there is an hour of work left


def test_a_task_can_end_its_own_children(start: Start, watch: psycopg.Connection) -> None:
    terminate_a_child.enqueue(1)
    start()
    wait_until(lambda: finished(watch) == {"DONE": 1}, 60)
    assert watch.execute("SELECT number FROM ledger").fetchall() == [(-15,)]


def test_a_task_that_ignores_term_does_not_make_its_worker_ignore_it(start: Start, watch: psycopg.Connection) -> None:
    ignore_term.enqueue(1)
    supervisor = start(partitions=1)
    wait_until(lambda: finished(watch) == {"DONE": 1}, 60)
    assert supervisor.stop() == 0


def test_an_unknown_task_stays_ready_and_is_warned_about(start: Start, watch: psycopg.Connection) -> None:
    watch.execute("INSERT INTO pgsupervise_task (bucket, name) VALUES (0, 'code.of.tomorrow')")
    record.enqueue(1)
    supervisor = start()
    wait_until(lambda: finished(watch) == {"DONE": 1}, 60)
    supervisor.logged(r'event="unknown task name: left for newer code" task=code.of.tomorrow ready=1')
    assert watch.execute("SELECT state, attempt FROM pgsupervise_task").fetchall() == [("READY", 0)]
    wait_until(lambda: "pgsupervise_tasks_unknown_total 1.0" in supervisor.get("/metrics")[1], 60)
