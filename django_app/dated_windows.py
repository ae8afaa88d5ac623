"""Windows that events and recipients bring along: an end, a time to be ahead of, or a length."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.dateparse import parse_datetime, parse_duration

from pgsupervise.partitions.rows import PendingEvent, Person
from pgsupervise.partitions.windows import LONGEST, WindowRule

from . import calendars
from .fallbacks import Unread, fell_back
from .paths import path_problems, value_at
from .times import check_aware
from .windows import length_problems, zone_of, zone_problems

ROOTS = ("data", "recipient")
ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class _FromPath:
    """What windows have that read a value at a path: "data.<name>" of the event, "recipient.<name>" of its properties.

    Where the value is missing or bad the window is `fallback` long from the first event, a warning is logged, and
    `pgsupervise_window_fallbacks_total` counts it. A window that is past closes at once.
    """

    path: str | datetime

    @property
    def reads_data(self) -> bool:
        """Whether it depends on the data of the event that opens the batch."""
        return isinstance(self.path, str) and self.path.startswith("data.")

    @property
    def reads_person(self) -> bool:
        """Whether it depends on who the recipient is."""
        return isinstance(self.path, str) and self.path.startswith("recipient.")


@dataclass(frozen=True, slots=True)
class Until(_FromPath):
    """A batch closes at a time: an aware datetime, or the one at a path, in ISO 8601 with an offset from UTC."""

    fallback: timedelta | None = None

    def problems(self) -> list[str]:
        """Return every fault, each with its cure."""
        if not isinstance(self.path, datetime):
            return [*path_problems(self.path, "window's path", nested=ROOTS), *_fallback_problems(self.fallback)]
        try:
            check_aware(self.path, "window's end", "a path such as 'data.ends_at'")
        except ValueError as error:
            return [str(error)]
        return []

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        if isinstance(self.path, datetime):
            fixed = self.path
            return WindowRule(window=LONGEST, end=lambda event, person: fixed)
        return _rule(policy, self.path, self.fallback, lambda value, event, person: _time(value))


@dataclass(frozen=True, slots=True)
class Before(_FromPath):
    """A batch closes so long before the time at a path, which is in ISO 8601 with an offset from UTC."""

    path: str
    lead: timedelta
    fallback: timedelta

    def problems(self) -> list[str]:
        """Return every fault, each with its cure."""
        return [
            *path_problems(self.path, "window's path", nested=ROOTS),
            *length_problems(self.lead, "window's lead"),
            *_fallback_problems(self.fallback),
        ]

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        return _rule(policy, self.path, self.fallback, lambda value, event, person: _time(value) - self.lead)


@dataclass(frozen=True, slots=True)
class FromProperty(_FromPath):
    """A batch takes events for as long as the value at a path says, from its first event.

    It is a number of seconds, a duration in ISO 8601 ("PT15M") or as a clock shows it ("1:30:00"), or a cron rule of
    five fields, for the recipient's time zone as in `Calendar`.
    """

    path: str
    fallback: timedelta
    zone: str | None = None

    @property
    def reads_person(self) -> bool:
        """Whether it depends on who the recipient is: it does, for a cron rule needs its time zone."""
        return True

    def problems(self) -> list[str]:
        """Return every fault, each with its cure."""
        return [
            *path_problems(self.path, "window's path", nested=ROOTS),
            *_fallback_problems(self.fallback),
            *zone_problems(self.zone),
        ]

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batch."""

        def end(value: object, event: PendingEvent, person: Person | None) -> datetime:
            if isinstance(value, str) and len(value.split()) == calendars.FIELDS:
                return calendars.cron(value).after(event.occurred_at, zone_of(person, self.zone, policy))
            return event.occurred_at + length_of(value)

        return _rule(policy, self.path, self.fallback, end)


def length_of(value: object) -> timedelta:
    """Return the length that a JSON value means, zero or more. Raises ValueError or OverflowError for any other."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        length = timedelta(seconds=value)
    elif isinstance(value, str) and value and (parsed := parse_duration(value)) is not None:
        length = parsed
    else:
        raise ValueError("it is no duration")
    if not ZERO <= length <= LONGEST:
        raise ValueError(f"it is not between zero and {LONGEST.days} days")
    return length


def _time(value: object) -> datetime:
    moment = parse_datetime(value) if isinstance(value, str) else None
    if moment is None or moment.utcoffset() is None:
        raise ValueError("it is no time in ISO 8601 with an offset from UTC")
    return moment.astimezone(UTC)


def _rule(
    policy: str,
    path: str,
    fallback: timedelta | None,
    read: Callable[[object, PendingEvent, Person | None], datetime],
) -> WindowRule:
    root, *names = path.split(".")
    otherwise = fallback or LONGEST

    def end(event: PendingEvent, person: Person | None) -> datetime:
        value: object = None
        try:
            source = json.loads(event.data_json or "{}") if root == "data" else person and person.properties
            value = value_at(source, names)
            if value is not None:
                return read(value, event, person)
            unread = Unread("missing")
        # Whatever a value does to its reader, its events' bucket must be folded.
        except Exception:
            unread = Unread("bad", value)
        fell_back(policy, path, unread)
        return event.occurred_at + otherwise

    return WindowRule(window=otherwise, end=end)


def _fallback_problems(fallback: object) -> list[str]:
    return length_problems(fallback, "window's fallback")
