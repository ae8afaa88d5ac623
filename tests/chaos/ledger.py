"""What the tasks did, by their own word: lines in files, so that it survives the database and every process.

Each worker process appends to a file of its own; a line is one write, which a SIGKILL does not cut. Times are
CLOCK_MONOTONIC, the same clock for all processes of a machine.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CHAOS_LEDGER"
"""Names the folder of the ledger; the supervisors inherit it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a task by one process; `ended` is None where the process did not get that far."""

    number: int
    pid: int
    began: float
    ended: float | None


class _File:
    """The file of this process. A fork gets one of its own."""

    def __init__(self) -> None:
        self._pid = 0
        self._fd = -1

    def write(self, sign: str, number: int) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            path = Path(os.environ[VARIABLE], str(self._pid))
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.write(self._fd, f"{sign} {number} {time.monotonic():.6f}\n".encode())


_file = _File()


@contextmanager
def recorded(number: int) -> Iterator[None]:
    """Write down the beginning of a run, and its end if it comes to one."""
    _file.write("begin", number)
    yield
    _file.write("end", number)


def times_begun(number: int) -> int:
    """Return how often the task of this number was begun so far, by anyone."""
    return sum(run.number == number for run in read(Path(os.environ[VARIABLE])))


def read(folder: Path, since: float = 0.0) -> list[Run]:
    """Return all runs that began after `since`, in the order of their beginning."""
    runs = [run for path in folder.iterdir() for run in _runs(int(path.name), path.read_text()) if run.began > since]
    return sorted(runs, key=lambda run: run.began)


def _runs(pid: int, text: str) -> Iterator[Run]:
    began: dict[int, float] = {}
    for line in text.splitlines():
        sign, number, at = line.split()
        if sign == "end":
            yield Run(int(number), pid, began.pop(int(number)), float(at))
        elif int(number) in began:  # this pid has been a process before, which died of it
            yield Run(int(number), pid, began[int(number)], None)
            began[int(number)] = float(at)
        else:
            began[int(number)] = float(at)
    for number_, at_ in began.items():
        yield Run(number_, pid, at_, None)
