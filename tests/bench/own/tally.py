"""What ran and when, by the tasks' own account: cheap enough for a million, exact enough to prove that each ran once.

Each process appends to a file of its own: the time by CLOCK_MONOTONIC, which all processes of a machine share, and the
task's number.
"""

import os
import struct
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.bench.own.project import variables

_RECORD = struct.Struct("dd")
TENTHS = 10


class TallyError(Exception):
    """Not every task ran exactly once: the figure would be worth nothing."""


class Counter:
    """The writing end, in a worker."""

    def __init__(self) -> None:
        self._pid = -1
        self._file = -1

    def add(self, number: int) -> None:
        """Append one record, in one write, so that a killed process leaves whole records."""
        if self._pid != os.getpid():
            self._open()
        os.write(self._file, _RECORD.pack(time.monotonic(), number))

    def _open(self) -> None:
        self._pid = os.getpid()
        path = Path(os.environ[variables.TALLY], str(self._pid))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs in order of time."""

    times: Sequence[float]
    numbers: Sequence[float]

    def check(self, expected: range) -> None:
        """Raise TallyError unless each number of the range ran once and nothing else did."""
        ran = set(self.numbers)
        missing = len(expected) - len(ran.intersection(expected))
        repeated = len(self.numbers) - len(ran)
        strange = len(ran.difference(expected))
        if missing or repeated or strange:
            raise TallyError(
                f"of {len(expected)} tasks {missing} did not run; {repeated} ran again, {strange} are strange"
            )

    @property
    def seconds(self) -> float:
        """From the first run to the last."""
        return self.times[-1] - self.times[0]

    @property
    def rate(self) -> float:
        """Runs per second."""
        return (len(self.times) - 1) / max(self.seconds, 1e-9)

    def tenths(self) -> list[float]:
        """Return the rate of each tenth of the runs."""
        step = len(self.times) / TENTHS
        bounds = [min(round(step * n), len(self.times) - 1) for n in range(TENTHS + 1)]
        return [(last - first) / max(self.times[last] - self.times[first], 1e-9) for first, last in pairwise(bounds)]


class Tally:
    """The reading end: a folder with a file of each process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """What a supervisor's environment needs, so that its workers write here."""
        return {variables.TALLY: str(self._folder)}

    def count(self) -> int:
        """Return how many runs there are so far."""
        return sum(path.stat().st_size for path in self._folder.iterdir()) // _RECORD.size

    def read(self) -> Runs:
        """Return the runs."""
        records: list[tuple[float, float]] = []
        for path in self._folder.iterdir():
            values = array("d", path.read_bytes())
            records.extend(zip(values[0::2], values[1::2], strict=True))
        records.sort()
        return Runs([time for time, _ in records], [number for _, number in records])

    def clear(self) -> None:
        """Forget all runs. Writers go on: they append."""
        for path in self._folder.iterdir():
            os.truncate(path, 0)
