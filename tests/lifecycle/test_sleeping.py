"""A worker without work sleeps until somebody wakes it, and what has run is written down while the next task runs."""

import psycopg
import pytest
from django.db import transaction

from tests.lifecycle.conftest import Start
from tests.project.tasks import record
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
NEVER_LOOKS = ("--poll", "3600")


def done(watch: psycopg.Connection) -> list[int]:
    return [row[0] for row in watch.execute("SELECT args[0]::int FROM pgsupervise_finishedtask ORDER BY id")]


def asleep(watch: psycopg.Connection) -> bool:
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    return watch.execute(locks).fetchone() == (256,)


def test_a_sleeping_worker_needs_no_look_to_run_what_is_enqueued(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(*NEVER_LOOKS, partitions=2)
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
