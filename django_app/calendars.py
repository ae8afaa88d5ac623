"""When a cron rule comes next on the clock on somebody's wall: computed here and nowhere else.

A slot is a time on the wall. A clock that is put forward past it makes it due at once, and where a clock that is put
back shows it twice, the first time counts: whatever the zone, a daily rule comes once a day. A rule for every hour
(whose hours begin with a star) knows no such slots: it comes whenever the clock shows it.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from .cron_words import why_refused

FIELDS = 5
SECOND, RESOLUTION = timedelta(seconds=1), timedelta.resolution
DAY = timedelta(days=1)


class Cron:
    """A rule of five fields: minute, hour, day of the month, month, day of the week; mon, tue, ... and jan, feb, ...

    Raises ValueError for a text that is no rule, and for a rule that never comes.
    """

    def __init__(self, rule: str) -> None:
        if len(rule.split()) != FIELDS:
            raise ValueError("it must have five fields: minute, hour, day of the month, month, day of the week")
        self.rule = rule
        self._every_hour = rule.split()[1].startswith("*")
        # For events between the two times the answer is the second one: most come soon after each other.
        self._latest: dict[str, tuple[datetime, datetime]] = {}
        try:
            self._next(datetime(2024, 1, 1))  # noqa: DTZ001 - a time on the wall
        except CronSimError:
            raise ValueError(why_refused(rule)) from None

    def after(self, at: datetime, zone: ZoneInfo) -> datetime:
        """Return when the rule comes next after an aware time, in UTC."""
        known = self._latest.get(zone.key)
        if known is not None and known[0] <= at < known[1]:
            return known[1]
        slot = self._seen_after(at, zone) if self._every_hour else self._due_after(at, zone)
        self._latest[zone.key] = (at, slot)
        return slot

    def _due_after(self, at: datetime, zone: ZoneInfo) -> datetime:
        wall = _wall(at, zone)
        while True:
            wall = self._next(wall)
            due = _first(wall, zone)
            if due > at:  # else it is past: the clock was put back behind it
                return due

    def _seen_after(self, at: datetime, zone: ZoneInfo) -> datetime:
        wall = _wall(at, zone)
        while True:
            offset = _offset(at, zone)
            slot = self._next(wall)
            seen = (slot - offset).replace(tzinfo=UTC)
            changed = _change(at.astimezone(UTC), seen, zone)
            if changed is None:
                return seen
            # The clock is set before it shows the slot: begin again with what it shows then.
            at, wall = changed, _wall(changed, zone) - SECOND

    def _next(self, wall: datetime) -> datetime:
        # Of a clock that nobody ever sets: where one is set, the library drops that day's slots of `*/15 2 * * *`.
        try:
            return next(CronSim(self.rule, wall))
        except StopIteration:
            raise ValueError("it never comes") from None


@lru_cache(maxsize=1000)
def cron(rule: str) -> Cron:
    """Return a rule, the same each time. Raises ValueError as `Cron` does."""
    return Cron(rule)


@lru_cache(maxsize=1000)
def zone_named(name: str) -> ZoneInfo | None:
    """Return the IANA time zone of this name; None where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # as it says of names that are unknown, are no path, or are a folder's
        return None


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _first(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clock shows this first, or when it is put forward past it."""
    due = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(due, zone) == wall:
        return due
    earlier = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # by the offset after the change: before it
    return _change(earlier, due, zone) or due


def _change(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when the clock is set for the first time between two times, to the second."""
    offset = _offset(after, zone)
    low = after
    # Two changes within a day would hide from this, and nobody does that to a clock.
    while low < until:
        high = min(low + DAY, until)
        if _offset(high, zone) != offset:
            return _bisected(low, high, zone)
        low = high
    return None


def _bisected(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second with another offset; clocks are set at full seconds."""
    before = _offset(low, zone)
    low, high = low.replace(microsecond=0), (high + SECOND - RESOLUTION).replace(microsecond=0)
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
