"""The database away, a whole machine lost, a bad configuration: what the operator sees and what is kept."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from pgsupervise.django_app.embedded import Server
from pgsupervise.partitions.buckets import bucket_of
from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import ROOT, Launch, first_pid, owners, supervised
from tests.project.tasks import LEDGER, record, wait_without_database
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle


def run_cli(*arguments: str, dsn: str = "dbname=unset") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pgsupervise.supervisor", *arguments]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PGSUPERVISE_DSN": dsn, "PYTHONPATH": path}
    environment.pop("DJANGO_SETTINGS_MODULE")
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_database_that_is_away_for_ten_seconds_ends_no_child_and_loses_nothing(
    own_server: Server, own_dsn: str, tmp_path: Path, launch: Launch
) -> None:
    with psycopg.connect(own_dsn, autocommit=True) as connection:
        connection.execute(LEDGER)
    with supervised(own_dsn, tmp_path, launch=launch) as supervisor:
        supervisor.logged("leases acquired")
        wait_without_database.using(key="apart").enqueue(26)
        record.enqueue_many((number, 0.01) for number in range(1500))
        with psycopg.connect(own_dsn, autocommit=True) as connection:
            wait_until(lambda: connection.execute("SELECT 1 FROM ledger").fetchone(), 60)
            wait_until(lambda: len(supervisor.workers(connection)) == 4, 60)
            before = supervisor.workers(connection)
        own_server.stop_server()
        time.sleep(10)  # the outage itself, not a wait for something
        assert supervisor.get("/livez")[0] == 200
        assert supervisor.get("/readyz")[0] == 503
        own_server.start_server()
        with psycopg.connect(own_dsn, autocommit=True) as connection:
            count = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
            wait_until(lambda: connection.execute(count).fetchone() == (1501,), 120)
            query = "SELECT attempt, crashes FROM pgsupervise_finishedtask WHERE name LIKE '%wait_without_database'"
            assert connection.execute(query).fetchone() == (1, 0), "the task that took 26 s went on all the while"
            assert supervisor.workers(connection) == before, "the same children as before"
            assert connection.execute("SELECT count(DISTINCT number) FROM ledger").fetchone() == (1500,)
        wait_until(lambda: supervisor.get("/readyz")[0] == 200, 60)
        assert "child ended" not in supervisor.log
        assert supervisor.stop() == 0


def test_the_work_of_a_lost_machine_is_picked_up_by_another_supervisor(start: Start, watch: psycopg.Connection) -> None:
    lost = start()
    wait_until(lambda: owners(watch) == {lost.instance(): 256}, 60)
    record.enqueue_many((number, 3600) for number in range(4))
    wait_until(lambda: watch.execute("SELECT 1 FROM ledger").fetchone(), 60)
    heir = start()
    wait_until(lambda: heir.workers(watch), 60)
    lost.kill_group()
    killed_at = watch.execute("SELECT clock_timestamp()").fetchone()
    watch.execute("UPDATE pgsupervise_task SET args = jsonb_build_array(args->0, 0) WHERE state <> 'DONE'")
    count = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
    wait_until(lambda: watch.execute(count).fetchone() == (4,), 60)
    assert killed_at
    took = watch.execute("SELECT max(finished_at) - %s < interval '15 s' FROM pgsupervise_finishedtask", killed_at)
    assert took.fetchone() == (True,), "dead after 10 s by default, and picked up within 15"
    assert heir.stop() == 0


def test_a_stopped_worker_is_declared_dead_and_changes_nothing_when_it_wakes(
    start: Start, watch: psycopg.Connection
) -> None:
    one = start("--beat", "0.5", "--dead-after", "2", partitions=2)
    wait_until(lambda: owners(watch) == {one.instance(): 256}, 60)
    record.enqueue(1, 1.0)
    pid = first_pid(watch)
    os.kill(pid, signal.SIGSTOP)
    query = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
    wait_until(lambda: watch.execute(query).fetchone() == (1,), 60, "another worker has run it")
    archived = watch.execute("SELECT worker, finished_at FROM pgsupervise_finishedtask").fetchall()
    with suppress(ProcessLookupError):  # the parent may have killed it already, for it ran a task without a beat
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "reason=fenced" in one.log, 60)
    assert watch.execute("SELECT worker, finished_at FROM pgsupervise_finishedtask").fetchall() == archived
    assert one.stop() == 0


def test_a_keeper_that_hangs_is_replaced_and_the_dead_are_reclaimed(start: Start, watch: psycopg.Connection) -> None:
    one = start("--beat", "0.5", "--dead-after", "2", partitions=2)
    wait_until(lambda: owners(watch) == {one.instance(): 256}, 60)
    wait_until(lambda: one.get("/startupz")[0] == 200, 60)
    (keeper,) = watch.execute("SELECT pid FROM pgsupervise_worker WHERE kind = 'keeper'").fetchall()
    os.kill(keeper[0], signal.SIGSTOP)
    record.enqueue(1, 1.0)
    os.kill(first_pid(watch), signal.SIGKILL)
    query = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
    wait_until(lambda: watch.execute(query).fetchone() == (1,), 60)
    one.logged("child=keeper-0 .*reason=fenced")
    assert one.stop() == 0


def test_a_database_that_stands_still_for_longer_than_the_time_to_dead_buries_nobody(
    own_server: Server, own_dsn: str, tmp_path: Path, launch: Launch
) -> None:
    """As a stalled disk or a paused machine does it: nothing is refused, nothing is answered."""
    with supervised(own_dsn, tmp_path, "--beat", "0.5", "--dead-after", "2", launch=launch) as supervisor:
        wait_until(lambda: supervisor.get("/startupz")[0] == 200, 60)
        for _ in range(3):
            time.sleep(2.2)  # so long that the keeper trusts what it sees
            pids = postgres_pids(own_server)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(3)  # the stall itself, not a wait for something
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: supervisor.get("/readyz")[0] == 200, 60)
        assert "declared dead" not in supervisor.log
        assert supervisor.stop() == 0


def postgres_pids(server: Server) -> list[int]:
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


def test_postgresql_restarted_in_immediate_mode_ends_no_child_and_loses_nothing(
    own_server: Server, own_dsn: str, tmp_path: Path, launch: Launch
) -> None:
    with psycopg.connect(own_dsn, autocommit=True) as connection:
        connection.execute(LEDGER)
    with supervised(own_dsn, tmp_path, launch=launch) as supervisor:
        supervisor.logged("leases acquired")
        for round_ in range(3):
            record.enqueue_many((number, 0.005) for number in range(round_ * 300, round_ * 300 + 300))
            time.sleep(0.3)  # the crash comes in the middle
            own_server.restart("immediate")
            connections.close_all()
        with psycopg.connect(own_dsn, autocommit=True) as connection:
            count = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
            wait_until(lambda: connection.execute(count).fetchone() == (900,), 120)
            assert connection.execute("SELECT count(DISTINCT number) FROM ledger").fetchone() == (900,)
        assert "child ended" not in supervisor.log
        assert supervisor.stop() == 0


def test_an_event_that_cannot_be_read_stops_no_other_recipient(start: Start, watch: psycopg.Connection) -> None:
    """Rows that no check refuses may still be unreadable here: their bucket is left alone, the others are served."""
    watch.execute("ALTER TABLE pgsupervise_event DROP CONSTRAINT pgsupervise_event_occurred_at")
    try:
        insert = "INSERT INTO pgsupervise_event (bucket, policy, recipient, occurred_at) VALUES (%s, 'hourly', %s, %s)"
        watch.execute(insert, [bucket_of("bad@example.com"), "bad@example.com", "infinity"])
        with watch.cursor() as cursor:
            cursor.executemany(insert, [(bucket_of(f"u{n}"), f"u{n}", "2020-01-01 00:00Z") for n in range(20)])
        one = start(partitions=1)
        count = "SELECT count(*) FROM pgsupervise_delivery WHERE state = 'ACCEPTED'"
        wait_until(lambda: watch.execute(count).fetchone() == (20,), 60)
        assert f'left alone for a minute" bucket={bucket_of("bad@example.com")}' in one.log
        assert "child ended" not in one.log
    finally:
        watch.execute("DELETE FROM pgsupervise_event")
        watch.execute(
            "ALTER TABLE pgsupervise_event ADD CONSTRAINT pgsupervise_event_occurred_at CHECK"
            " (occurred_at >= '1900-01-01 00:00Z' AND occurred_at <= '2200-01-01 00:00Z')"
        )


def test_a_port_in_use_and_all_other_faults_are_told_at_once(db: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = run_cli(
            "--settings", "tests.settings", "--partitions", "257", "--beat", "9", "--metrics-port", port, dsn=db
        )
    assert ran.returncode == 2
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert [line for line in lines if not line.startswith("error: ")] == []
    assert len(lines) == 3
    for part in ("--partitions is 257", f":{port} (Address already in use)", "three beats"):
        assert part in ran.stderr


@pytest.mark.parametrize(
    ("dsn", "part"),
    [
        ("host=127.0.0.1 port=1 dbname=x user=u password=hush connect_timeout=3", "127.0.0.1"),
        ("host=/nonexistent dbname=x user=u", "/nonexistent"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_clear_line(dsn: str, part: str) -> None:
    for command in ((), ("check",)):
        ran = run_cli("--settings", "tests.settings", "--metrics-port", "0", *command, dsn=dsn)
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        assert part in line
        assert "hush" not in line


def test_a_database_without_migrations_is_one_clear_line(server: Server) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as maintenance:
        maintenance.execute("CREATE DATABASE pgsupervise_empty TEMPLATE template0")
    ran = run_cli("--settings", "tests.settings", "--metrics-port", "0", dsn=server.dsn("pgsupervise_empty"))
    server.drop_database("pgsupervise_empty")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert "migrate" in line


def test_a_settings_module_that_does_not_exist_is_named() -> None:
    ran = run_cli("--settings", "shop.setings", "check")
    assert ran.returncode == 2
    assert "shop.setings" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_check_says_ok_and_starts_nothing(db: str) -> None:
    for words in (
        ["--settings", "tests.settings", "--metrics-port", "0", "check"],
        ["check", "--settings", "tests.settings", "--metrics-port", "0"],
    ):
        ran = run_cli(*words, dsn=db)
        assert ran.returncode == 0, ran.stderr
        assert re.fullmatch(r"ok: no faults; \d\d tasks, policies: hourly, sliding\n", ran.stdout)


def test_a_fault_after_check_is_told_too(db: str) -> None:
    ran = run_cli("--settings", "tests.settings", "check", "--partitions", "0", "--metrics-port", "0", dsn=db)
    assert ran.returncode == 2
    assert "--partitions is 0" in ran.stderr
