"""The marks of a worker's buckets, as long as they are good."""

import time
from collections.abc import Callable

from pgsupervise.partitions.marks import Marks

MARK_SECONDS = 1.0
"""How long a mark is trusted: late commits and retries lie below it."""


class MarkBook:
    """Marks are a bucket's of one epoch: another owner may have left something below them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: dict[int, tuple[int, float, Marks]] = {}

    def of(self, bucket: int, epoch: int) -> Marks:
        """Return the bucket's marks, at the start where the former ones are too old."""
        of_epoch, until, marks = self._marks.get(bucket, (epoch, 0.0, None))
        if marks is None or of_epoch != epoch or self._clock() >= until:
            marks = Marks() if marks is None else Marks(turns=marks.turns)  # whose turn it is no row says
            self._marks[bucket] = epoch, self._clock() + MARK_SECONDS, marks
        return marks
