"""Calendar windows on every clock of the world, against an oracle that looks at a clock minute by minute."""

import functools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from pgsupervise.django_app.calendars import Cron, cron, zone_named

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


class Rule(NamedTuple):
    """A cron rule, and what it means, spelled out by hand."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int] | None
    """None for every hour."""
    weekdays: frozenset[int] = frozenset(range(7))

    def matches(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes
            and (self.hours is None or wall.hour in self.hours)
            and wall.weekday() in self.weekdays
        )


def rule(text: str, minutes: set[int], hours: set[int] | None, weekdays: set[int] | None = None) -> Rule:
    days = frozenset(weekdays) if weekdays else frozenset(range(7))
    return Rule(text, frozenset(minutes), None if hours is None else frozenset(hours), days)


RULES = [
    rule("0 0 * * *", {0}, {0}),
    rule("30 0 * * *", {30}, {0}),
    rule("0 2 * * *", {0}, {2}),
    rule("30 2 * * *", {30}, {2}),
    rule("*/15 1 * * *", {0, 15, 30, 45}, {1}),
    rule("20 1-3 * * mon-fri", {20}, {1, 2, 3}, {0, 1, 2, 3, 4}),
    rule("0 3 * * sun", {0}, {3}, {6}),
    rule("59 23 * * *", {59}, {23}),
    rule("0 * * * *", {0}, None),
    rule("45 * * * sun", {45}, None, {6}),
    rule("*/20 * * * *", {0, 20, 40}, None),
]
# Around the change, in seconds: the minutes and hours in which it does something, and a day on either side.
AROUND = [
    -25 * 3600, -3 * 3600, -3660, -3600, -3599, -1800, -60, -1, 0, 1, 899, 900, 1800, 3599, 3600, 3601, 4500, 5400,
    7200, 23 * 3600,
]  # fmt: skip


@functools.cache
def changes() -> dict[tuple[datetime, timedelta, timedelta], list[str]]:
    """Return when clocks are set in two years, from which offset to which, and in which zones."""
    found: dict[tuple[datetime, timedelta, timedelta], list[str]] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        before = BEGIN.astimezone(zone).utcoffset()
        for day in range((END - BEGIN).days):
            low, high = BEGIN + day * DAY, BEGIN + (day + 1) * DAY
            after = high.astimezone(zone).utcoffset()
            assert before is not None
            assert after is not None
            if after != before:
                while high - low > MINUTE:
                    middle = low + (high - low) / 2
                    middle = middle.replace(second=0, microsecond=0)
                    low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
                found.setdefault((high, before, after), []).append(name)
            before = after
    return found


def wall_clock(change: datetime, before: timedelta, after: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Yield each minute of the two days before the change and the two behind it, and what the clock shows then."""
    minute = change - 2 * DAY
    while minute < change + 2 * DAY:
        yield minute, (minute + (before if minute < change else after)).replace(tzinfo=None)
        minute += MINUTE


class Shown:
    """What a clock shows and when, by the minute of the hour: few of them are a rule's, and there are many rules."""

    def __init__(self, moments: Iterable[tuple[datetime, datetime]]) -> None:
        self.by_minute: dict[int, list[tuple[datetime, datetime]]] = {minute: [] for minute in range(60)}
        for minute, wall in moments:
            self.by_minute[wall.minute].append((minute, wall))

    def due_times(self, ruled: Rule) -> list[datetime]:
        """Return when a rule matches, in ascending order."""
        moments = (moment for number in ruled.minutes for moment in self.by_minute[number])
        return sorted(minute for minute, wall in moments if ruled.matches(wall))


def first_shown(clock: list[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """Yield each time on the wall once: when the clock for the first time shows it or more."""
    furthest = clock[0][1]
    for minute, wall in clock[1:]:
        while furthest < wall:  # never where the clock was put back; several times where it was put forward
            furthest += MINUTE
            yield minute, furthest


def test_every_zones_changes_of_two_years_are_looked_at() -> None:
    assert len(available_timezones()) > 400
    zones = {name for names in changes().values() for name in names}
    assert {"Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago"} <= zones
    forward = [after - before for _, before, after in changes()]
    assert {HOUR, -HOUR, HOUR / 2, -HOUR / 2} <= set(forward)


def test_a_rule_comes_when_the_oracle_says_in_every_zone() -> None:
    for (change, before, after), names in changes().items():
        clock = list(wall_clock(change, before, after))
        # Where hours are named, a time on the wall counts once; where they are not, whenever the clock shows it.
        once, each_time = Shown(first_shown(clock)), Shown(clock)
        zones = [ZoneInfo(name) for name in names]
        for ruled in RULES:
            due = (each_time if ruled.hours is None else once).due_times(ruled)
            expected = [(at, next((time for time in due if time > at), None)) for at in times_around(change)]
            # Many zones set their clocks together: they share the times to be asked for.
            shares = 1 + len(names) // 6
            for number, zone in enumerate(zones):
                one = Cron(ruled.text)
                for at, wanted in expected[number % shares :: shares]:
                    found = one.after(at, zone)
                    assert found == wanted or (wanted is None and found > clock[-1][0]), (zone, ruled.text, at)


def times_around(change: datetime) -> list[datetime]:
    return [change + timedelta(seconds=seconds) for seconds in AROUND]


@pytest.mark.parametrize(
    ("zone", "text", "at", "expected"),
    [
        # As PostgreSQL and Python tell it differently: the gap and the repeated hour of New York.
        ("America/New_York", "30 2 * * *", "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z"),
        ("America/New_York", "30 1 * * *", "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"),
        ("America/New_York", "30 1 * * *", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"),
        ("America/New_York", "30 1 * * *", "2026-11-01T06:10:00Z", "2026-11-02T06:30:00Z"),
        ("Europe/Rome", "0 9 * * mon-fri", "2026-03-27T08:00:00Z", "2026-03-30T07:00:00Z"),
        ("Asia/Kathmandu", "0 9 * * *", "2026-06-01T00:00:00Z", "2026-06-01T03:15:00Z"),
        ("UTC", "0 0 29 2 *", "2026-06-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("UTC", "0 9 L * *", "2026-02-01T00:00:00Z", "2026-02-28T09:00:00Z"),
        ("UTC", "0 9 * * *", "2026-06-01T08:59:59.999999Z", "2026-06-01T09:00:00Z"),
        ("UTC", "0 9 * * *", "2026-06-01T09:00:00.000001Z", "2026-06-02T09:00:00Z"),
    ],
)
def test_a_slot_is_strictly_after_the_event(zone: str, text: str, at: str, expected: str) -> None:
    found = Cron(text).after(datetime.fromisoformat(at), ZoneInfo(zone))
    assert found == datetime.fromisoformat(expected)


def test_what_is_remembered_is_what_is_found_anew() -> None:
    """The answer for one event is reused for others before the slot: never for one at it, or before the first."""
    zone, remembering = ZoneInfo("Europe/Rome"), Cron("0 9 * * *")
    for minutes in [0, 5, 500, 499, 1440, 3, 1439, 2000, 1999, 9000, 1]:
        at = BEGIN + minutes * MINUTE
        assert remembering.after(at, zone) == Cron("0 9 * * *").after(at, zone)
    slot = remembering.after(BEGIN, zone)
    assert remembering.after(slot, zone) == slot + DAY


@pytest.mark.parametrize(
    "text",
    ["", "0 9 * *", "0 0 9 * * *", "60 9 * * *", "0 9 30 2 *", "0 9 * * foo", "@daily", "0 9 * * 1-", "0 9 0 * *"],
)
def test_what_is_no_rule_or_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cron(text)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America", "x" * 5000, "a\0b"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_named(name) is None


def test_a_zone_is_known_by_its_name() -> None:
    assert zone_named("Europe/Rome") == ZoneInfo("Europe/Rome")
