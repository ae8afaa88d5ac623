"""Tasks that do not end: the process of that one is killed, and nobody else's work suffers."""

import re
from datetime import timedelta

import psycopg
import pytest
from django.db import transaction

from pgsupervise.django_app.tasks import cancel
from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import first_pid
from tests.project.tasks import (
    hang_if,
    hang_once,
    hold_the_interpreter,
    hold_the_interpreter_for_ever,
    record,
    sleep_too_long,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
ENDED = "SELECT name, state, attempt, crashes FROM pgsupervise_finishedtask ORDER BY id"


def ended(watch: psycopg.Connection) -> list[tuple[str, str, int, int]]:
    rows = watch.execute(ENDED).fetchall()
    return [(name.rsplit(".", 1)[1], state, attempt, crashes) for name, state, attempt, crashes in rows]


def test_a_task_beyond_its_hard_timeout_is_killed_retried_and_dead_and_its_neighbours_do_not_notice(
    start: Start, watch: psycopg.Connection
) -> None:
    for number in range(200):  # quick ones teach the worker to write results in bulk: some wait when the next one hangs
        hang_if.using(key="one").enqueue(number, number == 150)
    one = start(partitions=2)
    wait_until(lambda: len(ended(watch)) == 200, 90)
    found = ended(watch)
    assert found.pop(150) == ("hang_if", "DEAD", 2, 0)
    assert found == [("hang_if", "DONE", 1, 0)] * 199
    assert watch.execute("SELECT count(*) FROM ledger").fetchone() == (201,), "nothing ran twice but what was killed"
    error = watch.execute("SELECT error FROM pgsupervise_finishedtask WHERE state = 'DEAD'").fetchone()
    assert error == ("killed: it ran longer than its hard timeout",)
    assert one.log.count("reason=timeout task=") == 2
    told = re.findall(r'level=(\w+) .*event="(task [^"]*)" task=tests\.project\.tasks\.hang_if', one.log)
    assert told == [("warning", "task failed: it is tried again"), ("error", "task dead")]
    assert one.log.count("child ended") == 2, "one process for each time"
    assert one.stop() == 0


def test_a_task_that_is_not_to_be_tried_again_after_its_timeout_is_dead_at_once(
    start: Start, watch: psycopg.Connection
) -> None:
    hang_once.enqueue(1)
    one = start(partitions=1)
    wait_until(lambda: ended(watch) == [("hang_once", "DEAD", 1, 0)], 60)
    counted = 'pgsupervise_tasks_finished_total{name="tests.project.tasks.hang_once",outcome="dead"} 1.0'
    wait_until(lambda: counted in one.get("/metrics")[1], 20)


def test_a_soft_timeout_is_an_exception_in_the_task_and_its_worker_goes_on(
    start: Start, watch: psycopg.Connection
) -> None:
    sleep_too_long.using(key="one").enqueue(1)
    record.using(key="one").enqueue(2)
    one = start(partitions=1)
    wait_until(lambda: len(ended(watch)) == 2, 60)
    assert ended(watch) == [("sleep_too_long", "DEAD", 1, 0), ("record", "DONE", 1, 0)]
    error = watch.execute("SELECT error FROM pgsupervise_finishedtask WHERE state = 'DEAD'").fetchone()
    assert error
    assert error[0].startswith("SoftTimeoutError: ")
    assert "child ended" not in one.log


def test_a_task_that_lets_no_other_thread_run_is_killed_too(start: Start, watch: psycopg.Connection) -> None:
    hold_the_interpreter.enqueue(1)
    start(partitions=1)
    wait_until(lambda: ended(watch) == [("hold_the_interpreter", "DEAD", 1, 0)], 60)


def test_a_task_that_hangs_its_worker_again_and_again_is_dead_also_without_a_timeout(
    start: Start, watch: psycopg.Connection
) -> None:
    hold_the_interpreter_for_ever.enqueue(1)
    start("--beat", "0.5", "--dead-after", "2", partitions=1)
    wait_until(lambda: ended(watch) == [("hold_the_interpreter_for_ever", "DEAD", 1, 3)], 90)


def test_a_cancel_that_is_not_committed_yet_stops_no_other_task(start: Start, watch: psycopg.Connection) -> None:
    first = record.using(key="one").enqueue(0, 1.0)
    start(partitions=1)
    first_pid(watch)
    with transaction.atomic():
        assert cancel(first)
        wait_until(lambda: watch.execute("SELECT ended FROM ledger").fetchone() != (None,), 60, "it has run")
        with psycopg.connect(watch.info.dsn, autocommit=True) as other:
            other.execute(
                "INSERT INTO pgsupervise_task (bucket, name, args) SELECT n, 'tests.project.tasks.record', '[7]'"
                " FROM generate_series(0, 19) n"
            )
        wait_until(lambda: len(ended(watch)) == 20, 60, "the others run")
    wait_until(lambda: len(ended(watch)) == 21, 60, "its end is written down, as what it was: it had run")
    assert {state for _, state, _, _ in ended(watch)} == {"DONE"}


def test_a_chosen_running_task_is_cancelled_and_its_neighbours_are_not(start: Start, watch: psycopg.Connection) -> None:
    chosen = record.using(key="one").enqueue(0, 3600)
    behind = record.using(key="one").enqueue(1)
    cancelled_behind = record.using(key="one").enqueue(2)
    one = start(partitions=1)
    first_pid(watch)
    assert cancel(chosen)
    assert cancel(cancelled_behind)
    wait_until(lambda: len(ended(watch)) == 3, 60)
    assert [(state, crashes) for _, state, _, crashes in ended(watch)] == [
        ("CANCELLED", 0),
        ("DONE", 0),
        ("CANCELLED", 0),
    ]
    assert watch.execute("SELECT number FROM ledger ORDER BY began").fetchall() == [(0,), (1,)]
    trace = (
        "SELECT error, attempt, worker IS NOT NULL, started_at IS NOT NULL FROM pgsupervise_finishedtask ORDER BY id"
    )
    assert watch.execute(trace).fetchone() == ("cancelled while it ran", 1, True, True)
    assert one.log.count("reason=cancelled task=") == 1
    counted = 'pgsupervise_tasks_finished_total{name="tests.project.tasks.record",outcome="cancelled"} 2.0'
    wait_until(lambda: counted in one.get("/metrics")[1], 20)
    assert not cancel(behind)
    assert one.stop() == 0


def test_tasks_that_have_not_begun_are_cancelled(start: Start, watch: psycopg.Connection) -> None:
    later = record.using(run_at=timedelta(hours=1)).enqueue(0)
    ready = record.enqueue(1)
    assert cancel(later)
    assert cancel(ready)
    start(partitions=1)
    wait_until(lambda: [state for _, state, _, _ in ended(watch)] == ["CANCELLED"] * 2, 60)
    assert watch.execute("SELECT count(*) FROM ledger").fetchone() == (0,)
