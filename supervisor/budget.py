"""One worker's part of a channel's budget. No counter is shared: a part is what the owned buckets are of all 256.

No bucket has two owners, so at no moment are the parts together more than the whole. A token bucket refills at the
part's rate and holds one message and a fifth of a second's worth; in any period of a second all workers together begin
at most 1.2 times the budget, and one message for each of them.

Who loses buckets has a lower rate, and holds less, with the next look, which is before the next message and before the
bucket is given back. Who gains some counts them once what its former owner had begun is over: a second for the rate, a
call's longest duration for the calls under way.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection

from pgsupervise.partitions.buckets import BUCKETS

from .limits import Limit, seats

HELD_SECONDS = 0.2
"""So many seconds' worth of messages may be saved up, beside one."""
LEAD_SECONDS = 0.05
"""So long before its turn a message may be claimed: claiming takes a round trip or two."""
SETTLED_SECONDS = 1.0
SLOT_SECONDS = 0.02
"""How soon to ask again while all calls are taken."""

Settled = Callable[[float], Collection[int]]
"""The buckets that have been owned for at least so many seconds, without those that are being let go."""


class Tokens:
    """What may be begun by now, at the rate of the part. It begins with less than nothing, by a random fraction.

    So workers that started together, with small parts, do not all send in the same moment; and one that is restarted
    again and again gains nothing by it.
    """

    def __init__(self, per_second: float, clock: Callable[[], float], rand: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._at = clock()
        self.rate = 0.0
        """A second, at the last look."""
        self.amount = -rand()

    def look(self, buckets: int) -> None:
        """Add what has come since the last look, at the lower one of the two rates, and keep what the part may hold."""
        now, before = self._clock(), self.rate
        self.rate = self._per_second * buckets / BUCKETS
        most = 1 + self.rate * HELD_SECONDS if buckets else 0.0
        self.amount = min(most, self.amount + min(before, self.rate) * (now - self._at))
        self._at = now


class Budget:
    """What this worker may do on one channel, for all of its threads."""

    def __init__(
        self,
        limit: Limit,
        settled: Settled,
        longest_call: float,
        clock: Callable[[], float] = time.monotonic,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._settled = settled
        self._longest_call = longest_call
        self._lock = threading.Lock()
        self._tokens = None if limit.per_second is None else Tokens(limit.per_second, clock, rand)
        self._seats = None if limit.in_flight is None else Counter(seats(limit.in_flight))
        self._claimed = 0
        self._under_way = 0

    def allowance(self) -> int:
        """Return how many messages more are worth claiming: those that can be begun now or in a moment."""
        with self._lock:
            found = []
            if self._tokens is not None:
                self._look(self._tokens)
                found.append(int(self._tokens.amount + self._tokens.rate * LEAD_SECONDS))
            if self._seats is not None:
                found.append(self._calls() - self._under_way)
            return max(0, min(found) - self._claimed) if found else 0

    def seconds_to_next(self) -> float:
        """Return in how many seconds the next message may be claimed; infinite where that is for calls to say."""
        with self._lock:
            if self._tokens is None or not self._tokens.rate:
                return float("inf")
            if self._seats is not None and self._under_way + self._claimed >= self._calls():
                return float("inf")
            missing = 1 + self._claimed - self._tokens.amount
            return max(0.0, missing / self._tokens.rate - LEAD_SECONDS)

    def claimed(self) -> None:
        """Take note of a message that is on its way to a thread."""
        with self._lock:
            self._claimed += 1

    def left(self) -> None:
        """Take note of a claimed message that was not begun."""
        with self._lock:
            self._claimed -= 1

    def begin(self) -> float:
        """Begin a claimed message and return 0; or return after how many seconds to ask again."""
        with self._lock:
            if self._seats is not None and self._under_way >= self._calls():
                return SLOT_SECONDS
            if self._tokens is not None:
                self._look(self._tokens)
                if self._tokens.amount < 1:
                    return (1 - self._tokens.amount) / self._tokens.rate if self._tokens.rate else float("inf")
                self._tokens.amount -= 1
            self._claimed -= 1
            self._under_way += 1
            return 0.0

    def end(self) -> None:
        """End what was begun."""
        with self._lock:
            self._under_way -= 1

    def _look(self, tokens: Tokens) -> None:
        tokens.look(len(self._settled(SETTLED_SECONDS)))

    def _calls(self) -> int:
        """Return how many calls may be under way: one at least for whoever owns anything, or it would never send."""
        buckets = self._settled(self._longest_call + SETTLED_SECONDS)
        if self._seats is None or not buckets:
            return 0
        return max(1, sum(self._seats[bucket] for bucket in buckets))
