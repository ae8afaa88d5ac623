"""Replacing children on purpose, and giving up where no child can serve."""

import re
import signal
from pathlib import Path

import psycopg
import pytest

from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import Supervised, launched, owners
from tests.lifecycle.test_sharing import watching
from tests.project.tasks import leak, record
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
DONE = "SELECT count(*), max(attempt) FROM pgsupervise_finishedtask WHERE state = 'DONE'"


def one_at_a_time(supervisor: Supervised) -> bool:
    """Return whether each replaced child's successor started before the next one was told to end."""
    events = re.findall(
        r"event=(?:replacing|\"child (?:ended|started)\") child=\S+", supervisor.log.split("event=draining")[0]
    )
    for event, following, last in zip(events, events[1:], events[2:], strict=False):
        if event.startswith("event=replacing"):
            child = event.split()[-1]
            if (following, last) != (f'event="child ended" {child}', f'event="child started" {child}'):
                return False
    return True


@pytest.mark.parametrize(("limit", "reason"), [(("--max-tasks", "5"), "tasks"), (("--max-age", "1"), "age")])
def test_workers_are_recycled_one_slot_at_a_time_and_work_goes_on(
    start: Start, watch: psycopg.Connection, limit: tuple[str, str], reason: str
) -> None:
    record.enqueue_many((number, 0.05) for number in range(100))
    supervisor = start(*limit, partitions=3)
    wait_until(lambda: watch.execute(DONE).fetchone() == (100, 1), 120)
    replaced = f"event=replacing child=worker-. pid=\\d+ reason=recycled:{reason}"
    wait_until(lambda: len(re.findall(replaced, supervisor.log)) >= 4, 60)
    assert supervisor.stop() == 0
    assert one_at_a_time(supervisor)
    assert watch.execute("SELECT count(*) FROM ledger").fetchone() == (100,), "nothing ran twice"


def test_a_worker_that_holds_too_much_memory_is_recycled(start: Start, watch: psycopg.Connection) -> None:
    leak.enqueue(1, 400)
    supervisor = start("--max-memory", "400", partitions=1)
    supervisor.logged("reason=recycled:memory lived_seconds")
    record.enqueue(2)
    wait_until(lambda: watch.execute(DONE).fetchone() == (2, 1), 60)
    assert supervisor.stop() == 0
    assert supervisor.log.count("reason=recycled:memory lived") == 1, "the successor is small again"


def test_a_rolling_restart_leaves_no_bucket_without_an_owner_for_long(
    start: Start, watch: psycopg.Connection, db: str
) -> None:
    supervisor = start(partitions=4)
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)
    record.enqueue_many((number, 0.02) for number in range(400))
    with watching(db) as watcher:
        supervisor.signal(signal.SIGHUP)
        wait_until(lambda: supervisor.log.count("reason=rolled lived_seconds") == 6, 90)
        wait_until(lambda: watch.execute(DONE).fetchone() == (400, 1), 120)
    assert watcher.longest_gap < 15  # generous: `make chaos` publishes what it is
    assert supervisor.stop() == 0


def test_when_nothing_can_boot_the_supervisor_gives_up_with_a_code_of_its_own(start: Start) -> None:
    supervisor = start(
        partitions=2, environment={"PYTHONPATH": str(Path(__file__).parent / "broken_boot")}, launch=launched
    )
    assert supervisor.process.wait(120) == 5
    assert "giving up" in supervisor.log
    waits = re.findall(r"child=worker-0 .*reason=signal:SIGABRT .*restart_in_seconds=(\S+)", supervisor.log)
    assert sorted(waits, key=float) == waits, "each wait is longer than the last one"
    assert len(set(waits)) >= 4
