"""Quiet hours: when a message may be delivered, by the wall clock of its recipient's zone."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from .rows import Person

DAY = timedelta(days=1)


def deliverable_at(at: datetime, person: Person, default_zone: str) -> datetime:
    """Return when a message may be delivered that would be at `at`: then, or when the recipient's quiet hours end.

    `default_zone` counts where the recipient has none, or one that this machine does not know.
    """
    if person.quiet_from is None or person.quiet_until is None:
        return at
    zone = zone_named(person.time_zone) or zone_named(default_zone) or UTC
    return end_of_quiet(at, zone, person.quiet_from, person.quiet_until)


def end_of_quiet(at: datetime, zone: tzinfo, begin: time, end: time) -> datetime:
    """Return `at`, or the first moment after it at which the wall clock of `zone` is outside of `[begin, end)`.

    The hours may span midnight; equal ones are none at all. Where the clocks are put forward over the end, that is the
    moment at which they are; where they are put back into the quiet hours, it is quiet again.
    """
    at = at.astimezone(UTC)
    while _is_quiet(at.astimezone(zone).time(), begin, end):
        wall = at.astimezone(zone).replace(tzinfo=None)
        day = wall.date() if wall.time() < end else wall.date() + DAY
        # So long it lasts, unless the clocks are changed before: then look again from there.
        at = _change_of_clocks(at, at + (datetime.combine(day, end) - wall), zone)
    return at


@lru_cache(maxsize=1000)
def zone_named(name: str) -> ZoneInfo | None:
    """Return the IANA zone of this name, or None where there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # no key that is safe, a folder, no such zone
        return None


def _is_quiet(wall: time, begin: time, end: time) -> bool:
    return begin <= wall < end if begin <= end else wall >= begin or wall < end


def _change_of_clocks(after: datetime, latest: datetime, zone: tzinfo) -> datetime:
    """Return when the zone's offset has changed after a time, to the second, or the latest time if it has not."""
    offset = after.astimezone(zone).utcoffset()
    if latest.astimezone(zone).utcoffset() == offset:
        return latest
    before = after.replace(microsecond=0)
    seconds = [0, int((latest - before).total_seconds()) + 1]
    while seconds[1] - seconds[0] > 1:
        middle = sum(seconds) // 2
        changed = (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() != offset
        seconds[changed] = middle
    return min(before + timedelta(seconds=seconds[1]), latest)
