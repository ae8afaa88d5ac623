"""The supervisor as a process of its own, as in production; it never outlives the replay."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import IO

from .options import SETTINGS

MOST_WORKERS = 32
"""Beyond that more workers than partitions' worth of work would only use up the server's connections."""
DRAIN_SECONDS = 20
TAIL_BYTES = 4000


class SupervisorProcess:
    """A running supervisor and its log."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        self._log = log
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this package
            [sys.executable, "-m", "pgsupervise.supervisor", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A group of its own: Ctrl-C in the terminal is for the replay, which then stops the supervisor in order,
            # and whatever is still there at the end can be killed together.
            process_group=0,
        )

    @property
    def pid(self) -> int:
        """The supervisor's process id, which is its children's parent."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """Return the last lines that it and its children wrote."""
        self._log.flush()
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")

    def stop(self) -> None:
        """Let it drain and wait for it; then make sure that nothing of it is left."""
        self._process.terminate()
        try:
            self._process.wait(DRAIN_SECONDS + 5)
        except subprocess.TimeoutExpired:
            pass  # killed below, with its children
        finally:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()


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
