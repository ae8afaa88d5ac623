"""Signals to the parent: drain, kill, roll; and what is left behind."""

import os
import re
import signal
import socket
from pathlib import Path

import psycopg
import pytest

from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import first_pid, launched, owners
from tests.project.tasks import hold_the_interpreter_for_ever, record
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle


def begun(watch: psycopg.Connection) -> int:
    row = watch.execute("SELECT count(*) FROM ledger").fetchone()
    assert row
    return int(row[0])


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_term_in_the_middle_of_work_ends_with_0_and_burns_no_attempt(start: Start, watch: psycopg.Connection) -> None:
    record.enqueue_many((number, 0.05) for number in range(400))
    supervisor = start()
    wait_until(lambda: begun(watch) > 10, 60)
    assert supervisor.stop() == 0
    assert "killed=False" in supervisor.log
    left = watch.execute("SELECT state, attempt FROM pgsupervise_task").fetchall()
    assert left, "it was stopped in the middle"
    assert set(left) == {("READY", 0)}
    done = watch.execute("SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'").fetchone()
    assert done == (begun(watch),), "what had begun was finished"
    assert owners(watch) == {"": 256}
    assert watch.execute("SELECT DISTINCT state FROM pgsupervise_worker").fetchall() == [("STOPPED",)]


def test_a_worker_gives_its_buckets_up_while_its_last_task_still_runs(start: Start, watch: psycopg.Connection) -> None:
    record.enqueue(1, 8)
    supervisor = start(partitions=2)
    wait_until(lambda: begun(watch) == 1, 60)
    supervisor.signal(signal.SIGTERM)
    wait_until(lambda: owners(watch).get("", 0) >= 128 + 127, 60, "all but the running task's bucket is released")
    assert watch.execute("SELECT count(*) FROM ledger WHERE ended IS NOT NULL").fetchone() == (0,)
    assert supervisor.process.wait(60) == 0


def test_a_fault_of_the_parent_ends_everything_at_once(start: Start, watch: psycopg.Connection) -> None:
    """Python would wait for the children; a supervisor that supervises nothing would look alive for ever."""
    supervisor = start(environment={"PYTHONPATH": str(Path(__file__).parent / "broken_parent")}, launch=launched)
    assert supervisor.process.wait(60) == 1
    assert "the supervisor itself failed" in supervisor.log
    pids = [int(pid) for pid in re.findall(r"child=worker-\d pid=(\d+)", supervisor.log)]
    assert pids
    wait_until(lambda: not any(map(process_exists, pids)), 60)


def test_an_orphan_does_not_hold_the_port(start: Start, watch: psycopg.Connection) -> None:
    record.enqueue(1, 5)
    supervisor = start(partitions=1)
    wait_until(lambda: begun(watch) == 1, 60)
    port = supervisor.port()
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.process.wait(60)

    def is_free() -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return probe.connect_ex(("127.0.0.1", port)) != 0

    wait_until(is_free, 60, "nobody listens any more")
    assert watch.execute("SELECT count(*) FROM ledger WHERE ended IS NOT NULL").fetchone() == (0,), (
        "the orphan works on"
    )
    wait_until(lambda: owners(watch) == {"": 256}, 60)


def test_an_orphan_ends_within_the_time_to_dead_and_its_task_is_run_by_others(
    start: Start, watch: psycopg.Connection
) -> None:
    record.enqueue(1, 3600)
    supervisor = start("--beat", "0.5", "--dead-after", "3", partitions=1)
    pid = first_pid(watch)
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.process.wait(60)
    wait_until(lambda: not process_exists(pid), 60)
    reason = "SELECT end_reason FROM pgsupervise_worker WHERE pid = %s"
    assert watch.execute(reason, [pid]).fetchone() == ("orphaned",)
    other = start(partitions=1)
    wait_until(lambda: begun(watch) == 2, 60)
    assert watch.execute("SELECT attempt, crashes FROM pgsupervise_task").fetchone() == (1, 0)
    other.stop_now()


def test_an_orphan_that_notices_nothing_is_ended_by_its_keeper(start: Start, watch: psycopg.Connection) -> None:
    hold_the_interpreter_for_ever.enqueue(1)
    supervisor = start("--beat", "0.5", "--dead-after", "4", partitions=1)
    pid = first_pid(watch)
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.process.wait(60)
    wait_until(lambda: not process_exists(pid), 60)
    row = "SELECT end_reason, running_task IS NOT NULL FROM pgsupervise_worker WHERE pid = %s"
    wait_until(lambda: watch.execute(row, [pid]).fetchone() == ("orphaned", True), 60)
    count = "SELECT count(*) FROM pgsupervise_task WHERE state = 'READY' AND crashes = 1"
    wait_until(lambda: watch.execute(count).fetchone() == (1,), 60, "what it held is reclaimed")


def test_a_signal_to_the_whole_group_leaves_the_keeper_until_the_workers_have_ended(
    start: Start, watch: psycopg.Connection
) -> None:
    """So Ctrl-C and systemd stop a service."""
    record.enqueue(1, 3600)
    supervisor = start("--drain-timeout", "1", partitions=2)
    wait_until(lambda: begun(watch) == 1, 60)
    os.killpg(supervisor.pid, signal.SIGTERM)
    assert supervisor.process.wait(60) == 1
    assert watch.execute("SELECT state, attempt FROM pgsupervise_task").fetchone() == ("READY", 0)
    assert owners(watch) == {"": 256}


def test_a_second_term_kills(start: Start, watch: psycopg.Connection) -> None:
    record.enqueue(1, 3600)
    supervisor = start()
    wait_until(lambda: begun(watch) == 1, 60)
    assert supervisor.stop_now() == 1
    assert "reason=second_signal" in supervisor.log


def test_work_that_exceeds_the_drain_timeout_is_killed_and_goes_on_elsewhere(
    start: Start, watch: psycopg.Connection
) -> None:
    record.enqueue(1, 3600)
    supervisor = start("--drain-timeout", "1")
    wait_until(lambda: begun(watch) == 1, 60)
    supervisor.signal(signal.SIGTERM)
    assert supervisor.process.wait(60) == 1
    assert "reason=drain_timeout" in supervisor.log
    other = start()
    wait_until(lambda: begun(watch) == 2, 60)
    other.stop_now()


def test_hup_replaces_every_child_one_by_one_and_work_goes_on(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(partitions=2)
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)
    before = supervisor.workers(watch)
    record.enqueue_many((number, 0.01) for number in range(300))
    supervisor.signal(signal.SIGHUP)

    def replaced() -> bool:
        now = supervisor.workers(watch)
        return set(now) == set(before) and not set(now.values()) & set(before.values())

    wait_until(replaced, 60)
    count = "SELECT count(*), max(attempt) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
    wait_until(lambda: watch.execute(count).fetchone() == (300, 1), 60)
    assert begun(watch) == 300, "nothing ran twice"
    assert "reason=rolled" in supervisor.log
    assert supervisor.stop() == 0


def test_hup_replaces_the_next_child_only_when_the_last_ones_successor_serves(
    start: Start, watch: psycopg.Connection
) -> None:
    supervisor = start(partitions=2)
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)
    record.enqueue_many((number, 3) for number in range(8))
    wait_until(lambda: begun(watch) == 2, 60, "both workers are at work")
    supervisor.signal(signal.SIGHUP)
    wait_until(lambda: supervisor.log.count("reason=rolled") == 4, 90)
    events = re.findall(r"event=\"child (started|ended)\" child=([\w-]+)", supervisor.log)[4:]
    assert (
        events
        == [
            (what, child)
            for child in ("worker-0", "worker-1", "keeper-0", "exporter-0")
            for what in ("ended", "started")
        ][: len(events)]
    )
    supervisor.stop_now()


def test_hup_does_not_wait_longer_than_the_drain_timeout(start: Start, watch: psycopg.Connection) -> None:
    record.enqueue(1, 3600)
    supervisor = start("--drain-timeout", "1", partitions=1)
    wait_until(lambda: begun(watch) == 1, 60)
    supervisor.signal(signal.SIGHUP)
    wait_until(lambda: begun(watch) == 2, 60, "the successor has taken the task up")
    assert "reason=drain_timeout" in supervisor.log
    supervisor.stop_now()


def test_the_work_of_workers_killed_at_the_end_is_ready_again_for_others(
    start: Start, watch: psycopg.Connection
) -> None:
    record.enqueue(1, 3600)
    supervisor = start("--drain-timeout", "1")
    wait_until(lambda: begun(watch) == 1, 60)
    assert supervisor.stop() == 1
    row = watch.execute("SELECT state, attempt, crashes FROM pgsupervise_task").fetchone()
    assert row == ("READY", 0, 0), "a shutdown burns no attempt and is no crash of the task's"


def test_the_children_of_a_killed_parent_drain_and_end(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start()
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)
    children = [row[0] for row in watch.execute("SELECT pid FROM pgsupervise_worker").fetchall()]
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.process.wait(60)
    wait_until(lambda: not any(map(process_exists, children)), 60, "no orphan is left")
    assert owners(watch) == {"": 256}


def test_usr2_tells_what_every_child_is_doing(start: Start, watch: psycopg.Connection) -> None:
    number = record.enqueue(1, 3600)
    supervisor = start()
    wait_until(lambda: begun(watch) == 1, 60)
    supervisor.signal(signal.SIGUSR2)
    supervisor.logged(f"event=state child=worker-. .*task={number}")
    supervisor.stop_now()
