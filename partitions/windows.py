"""Windows in event time: which digest an event belongs to depends on the events' own times and on nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from .rows import PendingEvent, Person

LONGEST = timedelta(days=3660)
"""Ten years: the end of a batch stays a date that Python and PostgreSQL can hold."""
End = Callable[[PendingEvent, Person | None], datetime]
"""When a batch closes that this event opens; not before the event itself."""


class Slide(NamedTuple):
    """How later events move the end of a batch, as the rule says that has opened it: to `min(event + by, until)`.

    Zero: not at all.
    """

    by: timedelta
    until: datetime

    def extends(self, occurred_at: datetime, current: datetime) -> datetime:
        """Return when an open batch closes that takes one more event."""
        return max(current, min(occurred_at + self.by, self.until))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRule:
    """When a batch closes.

    Fixed: it takes events of `[first, first + window)`. Sliding (`sliding_max` is set): each event moves the end to
    `min(event + window, first + sliding_max)`. `end` decides instead of both where it is given. `flush_at` closes a
    batch at once with that many events. `leading`: the event that would open a batch goes at once, by itself, and
    opens an empty one. `quiet`: it goes at once if its key's last event is longer ago than that, and opens none.
    """

    window: timedelta
    sliding_max: timedelta | None = None
    end: End | None = None
    flush_at: int | None = None
    leading: bool = False
    quiet: timedelta | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the rule, each with its cure; an empty list when nothing is."""
        found = []
        if self.window <= timedelta(0):
            found.append(f"window is {self.window}: it must be longer than zero")
        if max(self.window, self.sliding_max or self.window, self.quiet or self.window) > LONGEST:
            found.append(f"window is longer than {LONGEST.days} days, which is the most: shorten it")
        if self.sliding_max is not None and self.sliding_max < self.window:
            found.append(f"sliding_max {self.sliding_max} is shorter than window {self.window}: raise it")
        if self.flush_at is not None and self.flush_at < 1:
            found.append(f"flush_at is {self.flush_at}: it must be at least 1, or None for no limit")
        if self.quiet is not None and self.quiet <= timedelta(0):
            found.append(f"quiet is {self.quiet}: it must be longer than zero")
        if self.leading and self.quiet is not None:
            found.append("leading and quiet are two answers to one question: choose one of them")
        return found

    def opens(self, event: PendingEvent, person: Person | None = None) -> datetime:
        """Return when a batch closes that this event opens."""
        at = event.occurred_at
        if self.end is None:
            return at + self.window
        return min(max(at, self.end(event, person)), at + LONGEST)

    def extends(self, opened_at: datetime, occurred_at: datetime, current: datetime) -> datetime:
        """Return when an open batch closes that takes one more event."""
        return self.slide(opened_at).extends(occurred_at, current)

    def slide(self, opened_at: datetime) -> Slide:
        """Return how later events move the end of a batch that opens then."""
        if self.sliding_max is None or self.end is not None:
            return Slide(timedelta(0), opened_at)
        return Slide(self.window, opened_at + self.sliding_max)
