"""What an operator sees of a running supervisor: metrics, probes, process titles, log lines."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import Supervised, owners
from tests.project.tasks import record
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle


def sample(supervisor: Supervised, series: str) -> float:
    """Return the value of one series, 0 where it is not there yet."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", supervisor.get("/metrics")[1], re.M)
    return float(found[1]) if found else 0.0


def test_counters_survive_the_death_of_the_process_that_counted(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(partitions=2)
    done = 'pgsupervise_tasks_finished_total{name="tests.project.tasks.record",outcome="done"}'
    record.enqueue_many((number,) for number in range(100))
    wait_until(lambda: sample(supervisor, done) == 100, 60)
    before = supervisor.workers(watch)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: set(supervisor.workers(watch)) == set(before), 60)
    record.enqueue_many((number,) for number in range(50))
    wait_until(lambda: sample(supervisor, done) == 150, 60)
    killed = 'pgsupervise_restarts_total{kind="worker",reason="signal:SIGKILL"}'
    assert sample(supervisor, killed) == 2
    assert sample(supervisor, "pgsupervise_database_up") == 1


def test_the_scrape_passes_promtool(start: Start, watch: psycopg.Connection) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    supervisor = start()
    record.enqueue(1)
    wait_until(lambda: sample(supervisor, "pgsupervise_tasks_claimed_total") == 1, 60)
    text = supervisor.get("/metrics")[1]
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_probes_tell_started_live_and_ready(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start()
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)
    for path in ("/startupz", "/livez", "/readyz"):
        wait_until(lambda path=path: supervisor.get(path)[0] == 200, 60, path)  # type: ignore[misc]  # bound in a loop
    assert supervisor.get("/nothing")[0] == 404


def test_a_parent_that_hangs_is_not_live(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(partitions=1)
    wait_until(lambda: supervisor.get("/livez")[0] == 200, 60)
    supervisor.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: supervisor.get("/livez")[0] == 503, 60)
    finally:
        supervisor.signal(signal.SIGCONT)
    wait_until(lambda: supervisor.get("/livez")[0] == 200, 60)


def test_bad_scrapes_hurt_no_worker(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(partitions=2)
    wait_until(lambda: len(supervisor.workers(watch)) == 2, 60)
    before = supervisor.workers(watch)
    connections = []
    for payload in [b"\0" * 2000, b"GET /metrics HTTP/9.9\r\n\r\n", b"GET /metrics", b"POST / HTTP/1.0\r\n\r\n"] * 10:
        connection = socket.create_connection(("127.0.0.1", supervisor.port()), timeout=10)
        connection.sendall(payload)
        connections.append(connection)
    record.enqueue_many((number,) for number in range(50))
    count = "SELECT count(*) FROM pgsupervise_finishedtask"
    wait_until(lambda: watch.execute(count).fetchone() == (50,), 60)
    for connection in connections:
        connection.close()
    wait_until(lambda: supervisor.get("/metrics")[0] == 200, 60)
    assert supervisor.workers(watch) == before


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc to read titles from")
def test_process_titles_name_slot_and_buckets(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start(partitions=2)
    wait_until(lambda: owners(watch) == {supervisor.instance(): 256}, 60)

    def titles() -> set[str]:
        rows = watch.execute("SELECT pid FROM pgsupervise_worker WHERE state = 'ACTIVE'").fetchall()
        return {Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ") for (pid,) in rows}

    expected = {"pgsupervise: worker-0 [0-127]", "pgsupervise: worker-1 [128-255]", "pgsupervise: keeper-0"}
    wait_until(lambda: titles() == expected, 60, f"the titles are {expected}")


def test_every_log_line_is_pairs(start: Start, watch: psycopg.Connection) -> None:
    supervisor = start()
    record.enqueue(1)
    wait_until(lambda: watch.execute("SELECT 1 FROM pgsupervise_finishedtask").fetchone(), 60)
    assert supervisor.stop() == 0
    for line in supervisor.log.splitlines():
        assert re.fullmatch(
            r'at=\S+Z level=\w+ slot=[\w-]+ event=("[^"]*"|\S+)( \w+=("(\\.|[^"\\])*"|[^\s"]+|""))*', line
        ), line
