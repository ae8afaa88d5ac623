"""What the bodies wrote down: 16 bytes a run, the task's number and when it began on the machine's monotonic clock."""

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_RECORD = struct.Struct("<qq")


class MiscountError(Exception):
    """A task did not run, or ran more than once."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The records of a run, in one file that all bodies append to."""

    path: Path

    def clear(self) -> None:
        """Make it empty."""
        self.path.write_bytes(b"")

    def count(self) -> int:
        """Return how many records there are."""
        return self.path.stat().st_size // _RECORD.size

    def records(self) -> list[tuple[int, int]]:
        """Return number and nanoseconds of each run, in the order in which they were written."""
        content = self.path.read_bytes()
        return list(_RECORD.iter_unpack(content[: len(content) // _RECORD.size * _RECORD.size]))


def verify(records: Iterable[tuple[int, int]], numbers: range) -> dict[int, int]:
    """Return the nanoseconds by number; each number must be there exactly once, or MiscountError is raised."""
    counts = Counter(number for number, _ in records)
    missing = sum(number not in counts for number in numbers)
    twice = sum(count > 1 for count in counts.values())
    strange = sum(number not in numbers for number in counts)
    if missing or twice or strange:
        raise MiscountError(f"of {len(numbers)} tasks {missing} did not run, {twice} ran again, {strange} are unknown")
    return dict(records)


def drained_per_second(records: Iterable[tuple[int, int]]) -> float:
    """Return the rate from the first body to the last one, whoever ran them."""
    times = [time for _, time in records]
    return (len(times) - 1) / ((max(times) - min(times)) / 1e9)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least so large a share (0..1) of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
