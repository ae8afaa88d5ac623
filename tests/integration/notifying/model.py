"""What the digests of some events are, told by README's words alone: no code of the product decides here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

Key = tuple[str, str, str, str]
"""(policy, recipient, tenant, key): at most one batch of a key is open."""
MINUTE = timedelta(minutes=1)


class Where(Enum):
    """Where an event is: in exactly one of these."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    SEALED = "SEALED"
    RETRACTED = "RETRACTED"
    FILTERED = "FILTERED"


@dataclass(frozen=True)
class Whose:
    """What is stored about a recipient when an event is folded, as far as windows depend on it."""

    zone: str = ""
    every: Any = None
    wish: Mapping[str, Any] | None = None


@dataclass(eq=False)
class Told:
    """An event as it was told, and where it is."""

    id: int
    bucket: int
    policy: str
    key: Key
    at: datetime
    kind: str = "event"
    data: Mapping[str, Any] = field(default_factory=dict)
    whose: Whose = Whose()
    about: int = 0
    idempotency_key: str = ""
    where: Where = Where.PENDING
    reason: str = ""
    batch: int | None = None
    is_read: bool = False

    @property
    def order(self) -> tuple[datetime, int]:
        """Events are taken in this order."""
        return self.at, self.id

    @property
    def moves_windows(self) -> bool:
        """Whether a fold has seen it: what was taken out while it was pending never was seen."""
        return self.batch is not None or self.reason == "flush"


@dataclass(frozen=True)
class Rule:
    """When a window ends that an event opens, how later ones move that, and what goes at once."""

    end: Callable[[Told], datetime]
    slides: tuple[timedelta, timedelta] | None = None
    flush_at: int | None = None
    leading: bool = False
    quiet: timedelta | None = None


@dataclass
class Window:
    """The events of one batch; an early end leaves `end` as it was."""

    first: datetime
    end: datetime
    events: list[Told] = field(default_factory=list)
    is_open: bool = True
    slides: tuple[timedelta, timedelta] | None = None
    """As the rule says by which it was opened."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of its events, in order."""
        return tuple(event.id for event in self.events)


def after(length: timedelta) -> Callable[[Told], datetime]:
    """Return the end of a window of a length."""
    return lambda event: event.at + length


@cache
def next_time(at: datetime, zone: str, times: tuple[tuple[int, int], ...]) -> datetime:
    """Return when a clock next shows one of the times of day, or is put forward past it: minute by minute."""
    clock = ZoneInfo(zone)
    minute = at.replace(second=0, microsecond=0)
    passed = minute.astimezone(clock).replace(tzinfo=None)
    while True:
        minute += MINUTE
        shown = minute.astimezone(clock).replace(tzinfo=None)
        while passed < shown:
            passed += MINUTE
            if (passed.hour, passed.minute) in times:
                return minute


def wished(rule: Rule, wish: Mapping[str, Any] | None) -> Rule:
    """Return the rule with the window that somebody wishes for."""
    match wish:
        case None:
            return rule
        case {"at_once": True}:
            return Rule(after(timedelta(0)))
        case {"every": seconds}:
            return replace(rule, end=after(timedelta(seconds=seconds)), slides=None)
        case {"sliding": seconds, "max": most}:
            length = timedelta(seconds=seconds)
            return replace(rule, end=after(length), slides=(length, timedelta(seconds=most)))
        case {"cron": "0 * * * *"}:
            # The zones of these histories are all whole hours from each other.
            return replace(rule, end=lambda event: event.at.replace(minute=0) + 60 * MINUTE, slides=None)
    raise AssertionError(wish)


def windows(rules: Mapping[str, Rule], events: Iterable[Told]) -> list[Window]:
    """Return the batches that the events of one key make, in the order in which these open."""
    made: list[Window] = []
    last: datetime | None = None
    for event in sorted(events, key=lambda event: event.order):
        rule = wished(rules[event.key[0]], event.whose.wish)
        now = made[-1] if made and made[-1].is_open else None
        if now and (event.at >= now.end or event.kind == "flush"):
            now.is_open = False
            now = None
        if event.kind == "flush":
            continue
        if now is None:
            made += _opened(rule, event, last)
        else:
            _joined(rule, event, now)
        last = event.at if last is None else max(last, event.at)
    return made


def _opened(rule: Rule, event: Told, last: datetime | None) -> list[Window]:
    alone = Window(event.at, event.at, [event], is_open=False)
    if rule.leading:
        return [alone, Window(event.at, rule.end(event), slides=rule.slides)]
    if rule.quiet is not None and (last is None or event.at - last > rule.quiet):
        return [alone]
    return [Window(event.at, rule.end(event), [event], rule.flush_at != 1, rule.slides)]


def _joined(rule: Rule, event: Told, now: Window) -> None:
    if now.slides:
        now.end = max(now.end, min(event.at + now.slides[0], now.first + now.slides[1]))
    now.events.append(event)
    now.is_open = len(now.events) != rule.flush_at
