"""A worker without work sleeps until somebody wakes it, and what has run is written down while the next task runs."""

from datetime import timedelta

import psycopg
import pytest
from django.db import transaction

from tests.lifecycle.conftest import Start
from tests.project.tasks import fail, record, tick
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
NEVER_LOOKS = {"TEST_ASLEEP_SECONDS": "3600"}


def done(watch: psycopg.Connection) -> list[int]:
    return [row[0] for row in watch.execute("SELECT args[0]::int FROM pgsupervise_finishedtask ORDER BY id")]


def asleep(watch: psycopg.Connection) -> bool:
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    return watch.execute(locks).fetchone() == (256,)


def test_a_sleeping_worker_needs_no_look_to_run_what_is_enqueued(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(partitions=2, environment=NEVER_LOOKS)
    wait_until(lambda: asleep(watch), 60, "both workers sleep")
    record.enqueue(1)
    wait_until(lambda: done(watch) == [1], 60)
    with transaction.atomic():
        record.enqueue(2)
    wait_until(lambda: done(watch) == [1, 2], 60)
    record.enqueue_many([(3,)] * 100)
    wait_until(lambda: done(watch).count(3) == 100, 60)
    wait_until(lambda: asleep(watch), 60, "they sleep again")
    supervisor.kill_group()


def test_what_has_run_is_done_while_the_next_task_of_its_chunk_takes_long(
    start: Start, watch: psycopg.Connection
) -> None:
    """Also where nothing told that it would: others of its name are quick."""
    ordered = record.using(key="one")
    ordered.enqueue_many([(number, 3600.0 if number == 60 else 0.0) for number in range(80)])
    supervisor = start(partitions=1)
    wait_until(lambda: watch.execute("SELECT 1 FROM ledger WHERE number = 60").fetchone(), 60, "it runs")
    wait_until(lambda: len(done(watch)) == 60, 60, "those before it are done")
    assert watch.execute("SELECT count(*) FROM ledger").fetchone() == (61,)
    supervisor.kill_group()


def test_what_came_below_the_watermark_while_the_worker_was_busy_is_found_before_it_sleeps(
    start: Start, watch: psycopg.Connection
) -> None:
    """Nobody has told of it: its owner was awake."""
    start(partitions=1, environment=NEVER_LOOKS)
    wait_until(lambda: asleep(watch), 60, "it sleeps")
    ordered = record.using(key="one")
    ordered.enqueue_many([(number, 0.3 if number == 19 else 0.0) for number in range(20)])
    wait_until(lambda: watch.execute("SELECT 1 FROM ledger WHERE number = 19").fetchone(), 60, "it is busy")
    record.using(key="one", priority=-100).enqueue(20)
    wait_until(lambda: 20 in done(watch), 60)


def test_a_retry_and_a_task_for_soon_are_looked_for_in_time(start: Start, watch: psycopg.Connection) -> None:
    start(partitions=1, environment=NEVER_LOOKS)
    wait_until(lambda: asleep(watch), 60, "it sleeps")
    record.using(run_at=timedelta(seconds=0.5)).enqueue(1)
    wait_until(lambda: done(watch) == [1], 60)
    wait_until(lambda: asleep(watch), 60, "it sleeps again")
    fail.enqueue(2)
    wait_until(lambda: 2 in done(watch), 60)


def test_a_chunk_whose_tasks_turn_out_slow_keeps_nobody_waiting(start: Start, watch: psycopg.Connection) -> None:
    """How much to claim is decided by what tasks took before; these take a thousand times longer."""
    start(partitions=1)
    tick.using(key="one").enqueue_many([()] * 3_000)
    wait_until(lambda: len(done(watch)) == 3_000, 60)
    record.using(key="one").enqueue_many([(number, 0.05) for number in range(400)])
    wait_until(lambda: watch.execute("SELECT 1 FROM ledger").fetchone(), 60, "the first one runs")
    record.using(key="one", priority=-100).enqueue(1_000)
    record.using(key="two").enqueue(1_001)
    wait_until(lambda: {1_000, 1_001} <= set(done(watch)), 60)
    assert len(watch.execute("SELECT FROM ledger WHERE number < 400").fetchall()) < 200
