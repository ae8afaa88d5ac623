"""How far each bucket has been claimed: a claim starts behind it and does not walk dead index entries again.

As long as some other session keeps an old snapshot, the entries of finished tasks stay in the index.
"""

from collections.abc import Iterable

from pgsupervise.partitions.tasks import START, Chunk, Watermark

TRUST_SECONDS = 1.0
"""How long a watermark is trusted: late commits, retries and higher priorities land below it."""
SHARE_OF_LOOKS = 20
"""Looks without watermarks, which walk all those entries, are made less often where they take long: 5 % of the time."""


MOST_TRUST_SECONDS = 5.0
"""But not much less often: what made one look long may be gone before the next."""


class Watermarks:
    """The watermarks of the worker's buckets, each good for one epoch of its lease."""

    def __init__(self) -> None:
        self._marks: dict[int, tuple[int, Watermark, float]] = {}
        self._trust = TRUST_SECONDS

    def behind(self, bucket: int, epoch: int, now: float) -> Watermark:
        """Return where to start: START where nothing is known, or not for long enough."""
        of_epoch, watermark, until = self._marks.get(bucket, (epoch, START, 0.0))
        return watermark if of_epoch == epoch and now < until else START

    def claimed(self, bucket: int, epoch: int, after: Watermark, chunk: Chunk, now: float) -> None:
        """Take note of a claim behind `after`. An empty one starts over: something had been seen, so it lies below."""
        if not chunk.tasks:
            self.forget(bucket)
            return
        until = now + self._trust if after == START else self._marks[bucket][2]
        self._marks[bucket] = (epoch, chunk.reached, until)

    def looked(self, empty: Iterable[int], now: float, seconds: float) -> None:
        """Take note of buckets in which nothing was found from the start, and how long such a look takes."""
        self._trust = min(MOST_TRUST_SECONDS, max(TRUST_SECONDS, SHARE_OF_LOOKS * seconds))
        for bucket in empty:
            if bucket in self._marks:
                epoch, watermark, _ = self._marks[bucket]
                self._marks[bucket] = (epoch, watermark, now + self._trust)

    def forget(self, bucket: int) -> None:
        """Start over: something has come to lie below the watermark."""
        self._marks.pop(bucket, None)

    def clear(self) -> None:
        """Start over everywhere."""
        self._marks.clear()
