"""How long to wait before the next try."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: a random wait between zero and `base * 2 ** (tries - 1)`, at most `cap`.

    Full jitter spreads callers that failed together (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """

    base: timedelta
    cap: timedelta

    def delay(self, tries: int, rand: random.Random | None = None) -> timedelta:
        """Return the wait after the given number of failed tries, counted from 1."""
        fraction = (rand or _random).random()
        # 2 ** 63 is beyond every cap: an unbounded exponent would overflow timedelta after some 60 failures.
        ceiling = min(self.cap.total_seconds(), self.base.total_seconds() * 2.0 ** min(tries - 1, 63))
        return timedelta(seconds=fraction * ceiling)


_random = random.SystemRandom()
TASK_RETRY = Backoff(timedelta(seconds=2), timedelta(hours=1))
SEND_RETRY = Backoff(timedelta(seconds=2), timedelta(minutes=15))
RECONNECT = Backoff(timedelta(milliseconds=200), timedelta(seconds=5))
