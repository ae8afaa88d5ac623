"""The supervisor as a process of its own, as in production; it never outlives the replay."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from .options import SETTINGS

GUARD = Path(__file__).with_name("guard.py")
MOST_WORKERS = 32
"""Beyond that more workers than partitions' worth of work would only use up the server's connections."""
DRAIN_SECONDS = 20
TAIL_BYTES = 4000


class SupervisorProcess:
    """A running supervisor and its log."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        self._log = log
        guard = [sys.executable, "-I", "-S", str(GUARD), str(DRAIN_SECONDS + 5)]
        self._guard = subprocess.Popen(  # noqa: S603 - this interpreter and this package
            [*guard, sys.executable, "-m", "pgsupervise.supervisor", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for the replay, which stops the supervisor in order
        )
        assert self._guard.stdout is not None  # noqa: S101 - it is a pipe
        self.pid = int(self._guard.stdout.readline() or 0)
        """The supervisor's process id, which is its children's parent."""

    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._guard.poll()

    def log_tail(self) -> str:
        """Return the last lines that it and its children wrote."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")

    def stop(self) -> None:
        """Let it drain and wait until nothing of it is left."""
        try:
            self._guard.communicate()
        finally:
            self._guard.wait()  # the first TERM may have come only now: what it does not end is this


@contextmanager
def supervising(partitions: int, environment: Mapping[str, str]) -> Iterator[SupervisorProcess]:
    """Run a supervisor with the replay's settings."""
    arguments = {
        "--partitions": partitions,
        "--processes": min(partitions, MOST_WORKERS),
        "--settings": SETTINGS,
        "--metrics-port": 0,
        "--drain-timeout": DRAIN_SECONDS,
    }
    with tempfile.TemporaryFile(prefix="pgsupervise-replay-") as log:
        supervisor = SupervisorProcess([str(word) for pair in arguments.items() for word in pair], environment, log)
        try:
            yield supervisor
        finally:
            supervisor.stop()


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Make TERM and Ctrl-C leave through every `finally`, once: a second one must not interrupt the cleaning up."""
    told = False

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            # Raised, not recorded: it ends whatever wait the replay is in.
            raise SystemExit(128 + number)

    former = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
