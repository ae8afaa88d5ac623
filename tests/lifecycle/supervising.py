"""Real supervisors in processes of their own, started and ended as a user does."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 60


class Process(Protocol):
    """What is used of a running `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | Any: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


Launch = Callable[[Sequence[str], Mapping[str, str], Path], Process]
"""Runs the command line `pgsupervise` with these arguments in this environment, and writes to this file."""


def launched(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Run it by an interpreter of its own, as a user does."""
    command = [sys.executable, "-m", "pgsupervise.supervisor", *arguments]
    with log.open("w") as file:
        # A group of its own: the whole of it can be killed, and our own interrupts do not reach it.
        return subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT, env=environment, start_new_session=True)


class Supervised:
    """One `pgsupervise` and its children."""

    def __init__(
        self,
        dsn: str,
        folder: Path,
        *options: str,
        partitions: int = 4,
        settings: str = "tests.settings",
        environment: Mapping[str, str] | None = None,
        launch: Launch = launched,
    ) -> None:
        self.log_path = folder / f"supervisor-{len(list(folder.iterdir()))}.log"
        arguments = ["--settings", settings, "--partitions", str(partitions), "--metrics-port", "0", "--poll", "0.05"]
        variables = {
            **os.environ,
            "PGSUPERVISE_DSN": dsn,
            **(environment or {}),
            "PYTHONPATH": os.pathsep.join(
                [*(environment or {}).get("PYTHONPATH", "").split(), str(ROOT), os.environ.get("PYTHONPATH", "")]
            ),
        }
        self.process = launch([*arguments, *options], variables, self.log_path)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text()

    @property
    def pid(self) -> int:
        """The parent's pid."""
        return self.process.pid

    def logged(self, pattern: str) -> str:
        """Wait for a line that matches and return it."""

        def found() -> str:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            match = re.search(pattern, self.log)
            return match.group(0) if match else ""

        return wait_until(found, 60, f"the log says {pattern!r}")

    def instance(self) -> str:
        """Its id, as the worker rows carry it."""
        return self.logged(r"event=started .*instance=\S+").rsplit("instance=", 1)[1]

    def port(self) -> int:
        """Where its exporter listens."""
        return int(self.logged(r"metrics_port=\d+").rsplit("=", 1)[1])

    def get(self, path: str) -> tuple[int, str]:
        """Ask the exporter."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port()}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def workers(self, connection: psycopg.Connection) -> dict[int, int]:
        """Return pid by slot of its live workers."""
        rows = connection.execute(
            "SELECT slot, pid FROM pgsupervise_worker WHERE supervisor = %s AND kind = 'worker' AND state = 'ACTIVE'",
            [self.instance()],
        )
        return dict(rows.fetchall())

    def signal(self, number: signal.Signals) -> None:
        """Signal the parent."""
        os.kill(self.pid, number)

    def kill_group(self) -> None:
        """SIGKILL the parent and all children at once, as the loss of a machine would."""
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop_now(self) -> int:
        """TERM it twice, which kills what it is running, and return its exit code."""
        self.signal(signal.SIGTERM)
        self.logged("event=draining")  # two signals at once would be one
        self.signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """TERM it and return its exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def supervised(dsn: str, folder: Path, *options: str, **how: Any) -> Iterator[Supervised]:
    """Run a supervisor; whatever the test left of it is killed at the end."""
    running = Supervised(dsn, folder, *options, **how)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.signal(signal.SIGTERM)
            try:
                running.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill_group()


def first_pid(connection: psycopg.Connection) -> int:
    """Wait for the ledger's first entry and return the pid that made it."""
    row = wait_until(lambda: connection.execute("SELECT pid FROM ledger ORDER BY began LIMIT 1").fetchone(), 60)
    assert row
    return int(row[0])


def owners(connection: psycopg.Connection) -> dict[str, int]:
    """Return how many buckets each supervisor owns; the key "" stands for unowned ones."""
    rows = connection.execute(
        "SELECT coalesce(w.supervisor::text, ''), count(*) FROM pgsupervise_lease l"
        " LEFT JOIN pgsupervise_worker w ON w.id = l.owner_id WHERE l.bucket >= 0 GROUP BY 1"
    )
    return dict(rows.fetchall())
