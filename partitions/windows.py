"""Windows in event time: which digest an event belongs to depends on the events' own times and on nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=3660)
"""Ten years: the end of a batch stays a date that Python and PostgreSQL can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRule:
    """When a batch closes.

    Fixed: it takes events of `[first, first + window)`. Sliding (`sliding_max` is set): each event moves the end to
    `min(event + window, first + sliding_max)`. `flush_at` closes it at once with that many events.
    """

    window: timedelta
    sliding_max: timedelta | None = None
    flush_at: int | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the rule, each with its cure; an empty list when nothing is."""
        found = []
        if self.window <= timedelta(0):
            found.append(f"window is {self.window}: it must be longer than zero")
        if max(self.window, self.sliding_max or self.window) > LONGEST:
            found.append(f"window is longer than {LONGEST.days} days, which is the most: shorten it")
        if self.sliding_max is not None and self.sliding_max < self.window:
            found.append(f"sliding_max {self.sliding_max} is shorter than window {self.window}: raise it")
        if self.flush_at is not None and self.flush_at < 1:
            found.append(f"flush_at is {self.flush_at}: it must be at least 1, or None for no limit")
        return found

    def closes_at(self, opened_at: datetime, occurred_at: datetime, current: datetime | None = None) -> datetime:
        """Return when a batch closes after an event; `current` is its end so far, None for the opening event."""
        if self.sliding_max is None:
            return current or opened_at + self.window
        slid = min(occurred_at + self.window, opened_at + self.sliding_max)
        return max(current, slid) if current else slid
