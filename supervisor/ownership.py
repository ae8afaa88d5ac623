"""What this worker owns, shared by its threads: who serves a bucket, and when a bucket may be let go."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta


class Ownership:
    """The worker's buckets with their epochs, and how long they can be trusted.

    Trust ends by this process's own monotonic clock, two thirds of the time-to-dead after the last renewal was *sent*:
    earlier than anybody else may take over, whatever the network did to the reply.
    """

    def __init__(self, fence_after: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fence_after = fence_after.total_seconds()
        self._trusted_until = 0.0
        self._epochs: dict[int, int] = {}
        self._since: dict[int, float] = {}
        self._leaving: set[int] = set()
        self._in_use: Counter[int] = Counter()
        self._changed = threading.Lock()

    def renewed(self, sent_at: float) -> None:
        """Extend the trust after a renewal succeeded; `sent_at` is when it was sent."""
        self._trusted_until = sent_at + self._fence_after

    def trusted(self) -> bool:
        """Return whether the worker may still start anything."""
        return self._clock() < self._trusted_until

    def owned(self) -> dict[int, int]:
        """Return the owned buckets with their epochs, those that are being let go included."""
        with self._changed:
            return dict(self._epochs)

    def settled(self, seconds: float) -> list[int]:
        """Return the buckets that have been owned for so long, without those that are being let go."""
        with self._changed:
            latest = self._clock() - seconds
            return [bucket for bucket, since in self._since.items() if since <= latest and bucket not in self._leaving]

    def adopt(self, epochs: Mapping[int, int]) -> None:
        """Add acquired buckets."""
        with self._changed:
            now = self._clock()
            self._since.update({bucket: now for bucket, epoch in epochs.items() if self._epochs.get(bucket) != epoch})
            self._epochs.update(epochs)

    def forget(self, buckets: Collection[int]) -> None:
        """Drop buckets that were released or that turned out to be somebody else's."""
        with self._changed:
            for bucket in buckets:
                self._epochs.pop(bucket, None)
                self._since.pop(bucket, None)
                self._leaving.discard(bucket)

    def enter(self, bucket: int) -> int | None:
        """Begin to serve a bucket and return its epoch; None when it is not owned, is being let go, or trust ended."""
        with self._changed:
            if bucket in self._leaving or not self.trusted():
                return None
            epoch = self._epochs.get(bucket)
            if epoch is not None:
                self._in_use[bucket] += 1
            return epoch

    def hold(self, bucket: int) -> None:
        """Keep a bucket in use beyond the `leave` that ends the caller's own `enter`; ended by a `leave` of its own."""
        with self._changed:
            self._in_use[bucket] += 1

    def leave(self, bucket: int) -> None:
        """End what `enter` or `hold` began."""
        with self._changed:
            self._in_use[bucket] -= 1
            if not self._in_use[bucket]:
                del self._in_use[bucket]

    def let_go(self, buckets: Collection[int]) -> None:
        """Ask the threads to stop serving buckets: what is in hand is finished or given back, nothing new begins."""
        with self._changed:
            self._leaving.update(bucket for bucket in buckets if bucket in self._epochs)

    def is_leaving(self, bucket: int) -> bool:
        """Return whether a bucket is to be let go, or is no longer owned at all."""
        return bucket in self._leaving or bucket not in self._epochs

    def idle_leaving(self) -> set[int]:
        """Return the buckets that are to be let go and that no thread serves any more."""
        with self._changed:
            return {bucket for bucket in self._leaving if bucket not in self._in_use}

    def leaving(self) -> set[int]:
        """Return the buckets that are to be let go."""
        with self._changed:
            return set(self._leaving)
