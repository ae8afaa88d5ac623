"""The command `replay` as a user runs it: the published table, kills, inbox, mail, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgsupervise.django_app.replay import reader
from pgsupervise.django_app.replay.databases import PREFIX, drop_abandoned
from tests.database import temporary_server
from tests.sendgrid_server import SendGridServer
from tests.waiting import wait_until

SAMPLE = Path(reader.__file__).with_name("sample.csv.gz")
ACTIVITY = Path(os.environ.get("PGSUPERVISE_ACTIVITY") or Path(__file__).parents[1] / "data" / "activity.csv.gz")
COMMAND = [sys.executable, "-m", "pgsupervise.supervisor", "replay"]
NO_FAULT = {"lost": 0, "duplicated": 0, "out_of_order": 0, "undelivered": 0}

ROWS = [
    # options, of the first 10,000 events: digests and fingerprint, of all 116,500: digests and fingerprint
    ("--window 1d", (3279, "7b0087a2b32f"), (58382, "8703026a167a")),
    ("--window 5m", (6536, "3370fda2e518"), (82043, "0dfd8a43c12a")),
    ("--window 1h --key object", (8265, "9e5e254eb3ba"), (105618, "661e5926f307")),
    ("--window 1h --sliding-max 1d", (5303, "0c7dce3155c7"), (73450, "0caebb814d35")),
    ("--window 1d --flush-at 10", (3417, "6145864e9bfb"), (59587, "b09c27d4d239")),
]
DAY, DAY_OF_SAMPLE, _ = ROWS[0]
PARTITIONS = [1, 4, 8]


@pytest.fixture
def server_dsn(request: pytest.FixtureRequest) -> str:
    return os.environ.get("PGSUPERVISE_TEST_DSN") or request.getfixturevalue("server").dsn()


@pytest.fixture
def bare_dsn() -> Iterator[str]:
    """Return where a new database is empty, as everywhere but on the server that the tests share."""
    if given := os.environ.get("PGSUPERVISE_TEST_DSN"):
        yield given
    else:
        with temporary_server() as server:
            yield server.dsn()


def replayed(server_dsn: str, file: Path, options: str, **environment: str) -> dict[str, Any]:
    command = [*COMMAND, str(file), "--json", "--database", server_dsn, *options.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def check(result: dict[str, Any], events: int, expected: tuple[int, str]) -> None:
    assert (result["digests"], result["fingerprint"]) == expected
    assert {name: result[name] for name in NO_FAULT} == NO_FAULT
    assert result["events"] == result["items"] == events


@pytest.mark.lifecycle
@pytest.mark.parametrize("partitions", PARTITIONS)
@pytest.mark.parametrize(("options", "expected"), [(options, sample) for options, sample, _ in ROWS])
def test_ten_thousand_events_give_the_published_digests(
    server_dsn: str, options: str, expected: tuple[int, str], partitions: int
) -> None:
    # Small chunks, so that the clock moves while the workers fold and seal.
    check(replayed(server_dsn, SAMPLE, f"{options} --partitions {partitions} --chunk 500"), 10_000, expected)


@pytest.mark.lifecycle
def test_the_channel_changes_no_digest(server_dsn: str) -> None:
    check(replayed(server_dsn, SAMPLE, f"{DAY} --partitions 4 --channel inbox"), 10_000, DAY_OF_SAMPLE)


@pytest.mark.lifecycle
@pytest.mark.parametrize(("options", "expected"), [(options, sample) for options, sample, _ in ROWS])
def test_killing_workers_changes_no_digest(server_dsn: str, options: str, expected: tuple[int, str]) -> None:
    # Faster than the full table's one kill a second: a quick machine is done with the sample by then.
    result = replayed(server_dsn, SAMPLE, f"{options} --chunk 100 --chaos kill:0.5")
    check(result, 10_000, expected)
    assert result["kills"] >= 1


@pytest.mark.lifecycle
def test_mail_goes_to_addresses_of_nobody(bare_dsn: str) -> None:
    with SendGridServer() as sendgrid:
        result = replayed(
            bare_dsn,
            SAMPLE,
            f"{DAY} --channel sendgrid --limit 300 --partitions 2",
            SENDGRID_API_KEY="SG.of.a.test",
            SENDGRID_HOST=sendgrid.url,
        )
        assert {name: result[name] for name in NO_FAULT} == NO_FAULT
        assert sendgrid.rejected == []
        addresses = [message.body["personalizations"][0]["to"][0]["email"] for message in sendgrid.accepted]
    assert len(addresses) == result["digests"] > 50
    assert all(address.startswith("u0") and address.endswith("@example.com") for address in addresses)


@pytest.mark.lifecycle
def test_a_broken_file_starts_nothing(server_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("at,change,actor,recipient,object\n2009-05-19T10:31:13Z,1,u1\n")
    command = [*COMMAND, str(file), "--database", "host=nowhere.invalid"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{file}:2: 3 columns instead of 5\n"


@pytest.mark.lifecycle
def test_through_manage_py_a_replay_leaves_the_projects_data_alone(server_dsn: str, db: str) -> None:
    words = ["pgsupervise", "replay", str(SAMPLE), "--limit", "10", "--partitions", "1", "--database", server_dsn]
    done = subprocess.run(
        [sys.executable, "-m", "django", *words], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert "fingerprint" in done.stdout
    with psycopg.connect(db) as connection:
        assert connection.execute("SELECT count(*) FROM pgsupervise_event").fetchone() == (0,)


@dataclass(frozen=True)
class Running:
    """A replay in the middle of its work; `pids` are the supervisor's and its children's."""

    process: subprocess.Popen[str]
    database: str
    supervisor: int
    pids: list[int]

    def has_ended(self) -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in self.pids)


def replay_databases(server_dsn: str) -> set[str]:
    with psycopg.connect(server_dsn) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        return {name for (name,) in rows}


def workers(dsn: str) -> list[int]:
    """Return the processes of a replay that has delivered something."""
    try:
        with psycopg.connect(dsn) as connection:
            if connection.execute("SELECT count(*) FROM pgsupervise_delivery").fetchone() == (0,):
                return []
            return [pid for (pid,) in connection.execute("SELECT pid FROM pgsupervise_worker")]
    except psycopg.Error:
        return []  # not migrated yet


@pytest.fixture
def running(server_dsn: str) -> Iterator[Running]:
    before = replay_databases(server_dsn)
    with ended(
        subprocess.Popen(
            [*COMMAND, str(ACTIVITY), "--partitions", "2", "--database", server_dsn],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        (database,) = wait_until(lambda: replay_databases(server_dsn) - before, 60)
        pids = wait_until(lambda: workers(make_conninfo(server_dsn, dbname=database)), 60)
        supervisor = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
        yield Running(process, database, supervisor, [supervisor, *pids])


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.lifecycle
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_replay_leaves_nothing_behind(server_dsn: str, running: Running, number: signal.Signals) -> None:
    running.process.send_signal(number)
    assert running.process.wait(60) == 128 + number
    assert running.has_ended()
    assert running.database not in replay_databases(server_dsn)


@pytest.mark.lifecycle
def test_a_killed_replay_leaves_only_a_database_that_the_next_one_drops(server_dsn: str, running: Running) -> None:
    drop_abandoned(server_dsn)
    assert running.database in replay_databases(server_dsn), "it is in use"
    running.process.kill()
    wait_until(running.has_ended, 60)

    def is_dropped() -> bool:
        drop_abandoned(server_dsn)  # not at once: the server takes a moment to see that the session has ended
        return running.database not in replay_databases(server_dsn)

    wait_until(is_dropped)


@pytest.mark.lifecycle
def test_a_replay_whose_supervisor_dies_says_so_and_shows_its_log(server_dsn: str, running: Running) -> None:
    os.kill(running.supervisor, signal.SIGKILL)
    _, told = running.process.communicate(timeout=60)
    assert running.process.returncode == 1
    assert told.startswith("error: the supervisor has ended with exit code 137\nThe end of the supervisor's log:\n")
    assert 'event="leases acquired"' in told
    assert running.has_ended()
    assert running.database not in replay_databases(server_dsn)


@pytest.mark.replay
@pytest.mark.parametrize("partitions", PARTITIONS)
@pytest.mark.parametrize(("options", "expected"), [(options, everything) for options, _, everything in ROWS])
def test_all_events_give_the_published_digests(
    server_dsn: str, options: str, expected: tuple[int, str], partitions: int
) -> None:
    check(replayed(server_dsn, ACTIVITY, f"{options} --partitions {partitions}"), 116_500, expected)


@pytest.mark.replay
@pytest.mark.parametrize(("options", "expected"), [(options, everything) for options, _, everything in ROWS])
def test_all_events_give_the_same_digests_while_a_worker_a_second_is_killed(
    server_dsn: str, options: str, expected: tuple[int, str]
) -> None:
    result = replayed(server_dsn, ACTIVITY, f"{options} --partitions 8 --chaos kill:1")
    check(result, 116_500, expected)
    assert result["kills"] >= 10
