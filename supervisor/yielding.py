"""The owner of a bucket waits for no caller: what an open transaction of one holds is left for later."""

from collections.abc import Callable
from typing import TypeVar

from pgsupervise.partitions.held import HeldError
from pgsupervise.partitions.marks import Marks

MOST_TRIES = 5
"""Of one chunk, while callers hold rows of it: each costs the 50 ms of hold_lease.sql."""
T = TypeVar("T")


def yielding(marks: Marks, write: Callable[[], T]) -> T | None:
    """Return what a write returns; None where it was not to be had.

    What a caller's open transaction holds is neither folded nor sealed as long as these marks are good, nor is
    anything else of the same recipient: its digests must come out as if nobody had been in the way.
    """
    for _ in range(MOST_TRIES):
        try:
            return write()
        except HeldError as held:
            marks.left |= held.recipients
    return None
