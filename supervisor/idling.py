"""How long to wait until the next look, when the last one found nothing."""

import time
from collections.abc import Callable
from datetime import timedelta

LONGEST_SECONDS = 2.0
SHARE = 10
"""Nobody minds a wait of a tenth of the time in which nothing came anyway."""


class Idling:
    """Looks less often the longer there has been nothing: a tenth of that time, from `poll` to two seconds."""

    def __init__(self, poll: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._poll = poll.total_seconds()
        self._worked_at = clock()

    def worked(self) -> None:
        """Take note that there was something."""
        self._worked_at = self._clock()

    def seconds(self) -> float:
        """Return how long to wait now."""
        return max(self._poll, min(LONGEST_SECONDS, (self._clock() - self._worked_at) / SHARE))
