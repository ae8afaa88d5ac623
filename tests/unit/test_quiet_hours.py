"""Quiet hours against an oracle that looks at the wall clock minute by minute."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pgsupervise.partitions.quiet import deliverable_at, end_of_quiet, zone_named
from pgsupervise.partitions.rows import Person

MINUTE = timedelta(minutes=1)
# Whole and half hours, clocks put forward over midnight, by half an hour, by a day, and not at all.
ZONES = [
    "UTC", "Europe/Rome", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran", "America/St_Johns",
]  # fmt: skip
MOMENTS = st.integers(0, 19 * 365 * 1440).map(lambda minutes: datetime(2009, 1, 1, tzinfo=UTC) + minutes * MINUTE)
HOURS = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def is_quiet(at: datetime, zone: ZoneInfo, begin: time, end: time) -> bool:
    """Say whether it is quiet, as a person with a clock on the wall would."""
    wall = at.astimezone(zone)
    minutes = [part.hour * 60 + part.minute for part in (wall.time(), begin, end)]
    now, start, stop = minutes
    return (now - start) % 1440 < (stop - start) % 1440


@given(MOMENTS, st.sampled_from(ZONES), HOURS, HOURS)
@example(datetime(2026, 3, 8, 6, 30, tzinfo=UTC), "America/New_York", time(22), time(2, 30))  # the end is never shown
@example(datetime(2026, 11, 1, 4, 30, tzinfo=UTC), "America/New_York", time(22), time(1, 30))  # it is shown twice
@example(datetime(2026, 11, 1, 6, 10, tzinfo=UTC), "America/New_York", time(22), time(1, 30))  # and quiet once more
@example(datetime(2026, 11, 1, 5, 45, tzinfo=UTC), "America/New_York", time(1, 30), time(5))  # put back out of it
@example(datetime(2011, 12, 30, 8, tzinfo=UTC), "Pacific/Apia", time(20), time(23, 59))  # a day that never was
@example(datetime(2026, 4, 4, 14, 45, tzinfo=UTC), "Australia/Lord_Howe", time(1), time(2))
def test_a_message_goes_at_the_first_minute_that_is_not_quiet(at: datetime, zone: str, begin: time, end: time) -> None:
    at = at.replace(second=0, microsecond=0)
    found = end_of_quiet(at, ZoneInfo(zone), begin, end)
    expected = at
    while is_quiet(expected, ZoneInfo(zone), begin, end):
        expected += MINUTE
    assert found == expected


@given(MOMENTS, st.sampled_from(ZONES), HOURS, HOURS)
def test_it_is_never_earlier_never_in_quiet_hours_and_says_the_same_again(
    at: datetime, zone: str, begin: time, end: time
) -> None:
    found = end_of_quiet(at, ZoneInfo(zone), begin, end)
    assert at <= found < at + timedelta(days=2)
    assert not is_quiet(found, ZoneInfo(zone), begin, end)
    assert end_of_quiet(found, ZoneInfo(zone), begin, end) == found


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Rome", 5),
        ("", 12),  # the project's
        ("Mars/Olympus", 12),
        ("../../etc/passwd", 12),
        ("\x00", 12),
        ("Europe", 12),
    ],
)
def test_a_zone_that_nobody_knows_is_the_projects(zone: str, expected: int) -> None:
    at = datetime(2026, 7, 1, 2, tzinfo=UTC)
    person = Person(recipient="a", time_zone=zone, quiet_from=time(22), quiet_until=time(7))
    if expected == 12:
        at = datetime(2026, 7, 1, 11, tzinfo=UTC)  # seven in the morning is noon in UTC at five hours' distance
    assert deliverable_at(at, person, "America/Chicago") == datetime(2026, 7, 1, expected, tzinfo=UTC)
    assert zone_named("Europe/Rome") == ZoneInfo("Europe/Rome")


def test_without_quiet_hours_nothing_waits() -> None:
    at = datetime(2026, 7, 1, 2, tzinfo=UTC)
    assert deliverable_at(at, Person(recipient="a", time_zone="Europe/Rome"), "UTC") == at
    same = Person(recipient="a", quiet_from=time(2), quiet_until=time(2))
    assert deliverable_at(at, same, "UTC") == at
    assert deliverable_at(at, same, "no zone either") == at
