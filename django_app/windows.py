"""Windows as policies declare them: when the batch of a recipient closes that an event has opened."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from django.utils import timezone

from pgsupervise.partitions.rows import PendingEvent, Person
from pgsupervise.partitions.windows import LONGEST, WindowRule

from . import calendars
from .fallbacks import Unread, fell_back
from .texts import shorten


class Window(Protocol):
    """What a policy asks of a window."""

    @property
    def reads_data(self) -> bool:
        """Whether it depends on the data of the event that opens the batch."""
        ...

    @property
    def reads_person(self) -> bool:
        """Whether it depends on who the recipient is."""
        ...

    def problems(self) -> list[str]:
        """Return every fault of the declaration, each with its cure."""
        ...

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batches of the policy of this name."""
        ...


class _SameForAll:
    """A window that depends on neither event nor recipient."""

    __slots__ = ()

    @property
    def reads_data(self) -> bool:
        return False

    @property
    def reads_person(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Fixed(_SameForAll):
    """A batch takes the events of `[first, first + length)`."""

    length: timedelta

    def problems(self) -> list[str]:
        """Return every fault, each with its cure."""
        return length_problems(self.length, "window")

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        return WindowRule(window=self.length)


@dataclass(frozen=True, slots=True)
class Sliding(_SameForAll):
    """Each event moves the end of its batch to `min(event + length, first + max)`."""

    length: timedelta
    max: timedelta = field(kw_only=True)

    def problems(self) -> list[str]:
        """Return every fault, each with its cure."""
        found = [*length_problems(self.length, "window"), *length_problems(self.max, "Sliding's max")]
        if not found and self.max < self.length:
            found = [f"Sliding's max {self.max} is shorter than its length {self.length}: raise max"]
        return found

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        return WindowRule(window=self.length, sliding_max=self.max)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A batch closes when a cron rule comes next on the recipient's wall clock, strictly after its first event.

    `cron` has five fields: "0 9 * * mon-fri" is nine o'clock on working days. A recipient without a time zone has
    `zone`, such as "Europe/Rome", and without that Django's TIME_ZONE counts.
    """

    cron: str
    zone: str | None = None

    @property
    def reads_data(self) -> bool:
        """Whether it depends on the data of the event that opens the batch."""
        return False

    @property
    def reads_person(self) -> bool:
        """Whether it depends on who the recipient is."""
        return True

    def problems(self) -> list[str]:
        """Return every fault, each with its cure."""
        return [*cron_problems(self.cron), *zone_problems(self.zone)]

    def rule(self, policy: str) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        slots = calendars.cron(self.cron)

        def end(event: PendingEvent, person: Person | None) -> datetime:
            return slots.after(event.occurred_at, zone_of(person, self.zone, policy))

        return WindowRule(window=LONGEST, end=end)


def zone_of(person: Person | None, otherwise: str | None, policy: str) -> ZoneInfo:
    """Return a recipient's time zone: its own, the policy's, or the project's."""
    if person is not None and person.time_zone:
        own = calendars.zone_named(person.time_zone)
        if own is not None:
            return own
        fell_back(policy, "recipient's time zone", Unread("zone", person.time_zone))
    stated = calendars.zone_named(otherwise) if otherwise else None
    if stated is not None:
        return stated
    return timezone.get_default_timezone()


def length_problems(length: object, what: str) -> list[str]:
    """Return why this is no length of a window, with the cure."""
    if not isinstance(length, timedelta):
        return [f"{what} is {shorten(length)}: it must be a timedelta"]
    if length <= timedelta(0):
        return [f"{what} is {length}: it must be longer than zero"]
    if length > LONGEST:
        return [f"{what} is {length}, longer than {LONGEST.days} days, which is the most: shorten it"]
    return []


def cron_problems(rule: object) -> list[str]:
    """Return why this is no cron rule, with the cure."""
    if not isinstance(rule, str):
        return [f"window's cron rule is {shorten(rule)}: it must be a str such as '0 9 * * mon-fri'"]
    try:
        calendars.cron(rule)
    except ValueError as error:
        return [f"window's cron rule is {shorten(rule)}: {error}; an example is '0 9 * * mon-fri'"]
    return []


def zone_problems(zone: object) -> list[str]:
    """Return why this is no time zone, with the cure."""
    if zone is None or (isinstance(zone, str) and calendars.zone_named(zone) is not None):
        return []
    return [f"window's zone is {shorten(zone)}: give an IANA name such as 'Europe/Rome', or None"]
