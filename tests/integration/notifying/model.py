"""What the digests of some events are, told by DESIGN's words alone: no code of the product decides here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from pgsupervise.partitions.windows import WindowRule

Key = tuple[str, str, str, str]
MINUTE = timedelta(minutes=1)
RULES = {
    "fixed": WindowRule(window=60 * MINUTE),
    "sliding": WindowRule(window=45 * MINUTE, sliding_max=60 * MINUTE),
    "leading": WindowRule(window=45 * MINUTE, leading=True),
    "quiet": WindowRule(window=30 * MINUTE, quiet=60 * MINUTE),
    "three": WindowRule(window=120 * MINUTE, flush_at=3),
    "pairs": WindowRule(window=30 * MINUTE, sliding_max=60 * MINUTE, flush_at=2),
}
HOSTS = {"likes": "fixed"}
"""Whose events go into the digests of another policy."""
OWN_LEFT_OUT = "sliding"
POLICIES = [*RULES, *HOSTS]


class Where(Enum):
    """Where an event is: in exactly one of these."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    SEALED = "SEALED"
    RETRACTED = "RETRACTED"
    FILTERED = "FILTERED"


@dataclass(eq=False)
class Told:
    """An event as it was told, and where it is."""

    id: int
    bucket: int
    key: Key
    at: datetime
    kind: str
    where: Where = Where.PENDING
    was_folded: bool = False

    @property
    def order(self) -> tuple[datetime, int]:
        """Events are taken in this order."""
        return self.at, self.id

    @property
    def takes_part(self) -> bool:
        """Whether it moves windows: what was taken back while it was pending was never seen by them."""
        return self.kind != "own" and (self.was_folded or self.where is Where.PENDING)

    @property
    def is_content(self) -> bool:
        """Whether a digest shows it."""
        return self.where not in (Where.RETRACTED, Where.FILTERED)


@dataclass
class Window:
    """A digest that still takes events."""

    first: datetime
    end: datetime
    events: list[Told] = field(default_factory=list)


def digests(rule: WindowRule, events: Iterable[Told]) -> list[list[Told]]:
    """Return what the events of one key become, the last one as if its window had ended: whole windows, in order."""
    made: list[list[Told]] = []
    window: Window | None = None
    last: datetime | None = None
    for event in sorted(events, key=lambda event: event.order):
        if window and event.at >= window.end:
            made.append(window.events)
            window = None
        if event.kind == "flush":
            made += [window.events] if window else []
            window = None
            continue
        goes_alone = window is None and (
            rule.leading or (rule.quiet is not None and (last is None or event.at - last > rule.quiet))
        )
        if window is None and not (goes_alone and rule.quiet is not None):
            window = Window(event.at, event.at + rule.window)
        elif window and rule.sliding_max is not None:
            window.end = max(window.end, min(event.at + rule.window, window.first + rule.sliding_max))
        last = event.at
        if goes_alone:
            made.append([event])
            continue
        assert window
        window.events.append(event)
        if rule.flush_at is not None and len(window.events) >= rule.flush_at:
            made.append(window.events)
            window = None
    return [*made, window.events] if window else made


def contents(rule: WindowRule, events: Iterable[Told]) -> list[tuple[int, ...]]:
    """Return the ids that each digest shows; one that would show none is not sent."""
    shown = (
        tuple(event.id for event in digest if event.is_content)
        for digest in digests(rule, (event for event in events if event.takes_part))
    )
    return sorted(ids for ids in shown if ids)
