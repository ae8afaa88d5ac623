"""Putting events into batches: pure, so that the same events give the same digests on every machine and every day."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from .rows import OpenBatch, PendingEvent, Person
from .states import BatchState, Reason
from .windows import Slide, WindowRule

Key = tuple[str, str, str, str]
"""(policy, recipient, tenant, key): at most one batch of a key is open."""
Rules = Callable[[Key, Person | None], WindowRule]
"""The rule of a key; with what is stored about its recipient, if anything is."""


class Known(NamedTuple):
    """What the tables hold about the keys and the recipients of some events."""

    batches: Iterable[OpenBatch] = ()
    persons: Mapping[str, Person] = {}
    last_at: Mapping[Key, datetime] = {}
    """When a key's last event occurred, of those whose policy asks for it."""
    former_due: Mapping[Key, datetime] = {}
    """When a key's closed batch is due, where the clock has not reached that."""


@dataclass(slots=True)
class FoldedBatch:
    """A batch as a fold leaves it; `id` is None until the batch is inserted."""

    id: int | None
    key: Key
    opened_at: datetime
    closes_at: datetime
    deliver_at: datetime
    item_count: int
    last_at: datetime | None = None
    gone: int = 0
    slide: Slide | None = None
    """None where the rule of now decides how later events move the end."""
    state: BatchState = BatchState.OPEN
    event_ids: list[int] = field(default_factory=list)
    is_new: bool = False


class Fold:
    """Takes events in order of (occurred_at, id) and keeps what becomes of the batches.

    `hosts` says which policy's batch takes the events of a policy, where it is another one's.
    """

    def __init__(self, rules: Rules, clock: datetime, known: Known, hosts: Mapping[str, str] | None = None) -> None:
        self._rules = rules
        self._clock = clock
        self._hosts = hosts or {}
        self._persons = known.persons
        self._personal: dict[Key, WindowRule] = {}
        self._last_at = dict(known.last_at)
        self._open: dict[Key, FoldedBatch] = {}
        self.touched: dict[int, FoldedBatch] = {}
        """By identity, in the order in which they were first touched."""
        self.filtered: list[tuple[int, Reason]] = []
        """Events that are in no batch, and why."""
        self._former_due = dict(known.former_due)
        for batch in known.batches:
            key = (batch.policy, batch.recipient, batch.tenant, batch.key)
            self._open[key] = FoldedBatch(
                batch.id,
                key,
                batch.opened_at,
                batch.closes_at,
                batch.closes_at,
                batch.item_count,
                batch.last_at,
                batch.gone,
                None if batch.slides_by is None else Slide(batch.slides_by, batch.slides_until or batch.opened_at),
            )

    def add(self, event: PendingEvent) -> None:
        """Put one event into its batch.

        An event behind the window closes the open batch and opens the next one. An event that is older than the open
        batch joins it: nothing is lost, and nothing is sent twice.
        """
        number, policy, recipient, tenant, key_text, at, kind, _ = event
        if kind == "own":
            self.filtered.append((number, Reason.OWN_ACTION))
            return
        key = (self._hosts.get(policy, policy), recipient, tenant, key_text)
        batch = self._open.get(key)
        if kind in ("flush", "recompute"):
            self._flush(event, batch)
            return
        if batch is not None and at >= batch.closes_at:
            self._close(batch)
            batch = None
        person = self._persons.get(recipient) if self._persons else None
        rule = self._rules(key, None) if person is None else self._personal_rule(key, person)
        if batch is None:
            batch = self._opened(key, rule, event, person)
        else:
            # By the window that it was opened with: who wishes another one since must not move what was promised.
            slide = rule.slide(batch.opened_at) if batch.slide is None else batch.slide
            if slide.by:
                batch.closes_at = batch.deliver_at = slide.extends(at, batch.closes_at)
        batch.item_count += 1
        batch.event_ids.append(number)
        if batch.last_at is None or at > batch.last_at:
            batch.last_at = at
        self.touched[id(batch)] = batch
        if (
            rule.flush_at is not None
            and batch.item_count - batch.gone >= rule.flush_at
            and batch.state is BatchState.OPEN
        ):
            self._close_early(batch, at)

    def _personal_rule(self, key: Key, person: Person) -> WindowRule:
        """Return the rule for a person, found out once: wishes have many levels."""
        rule = self._personal.get(key)
        if rule is None:
            rule = self._personal[key] = self._rules(key, person)
        return rule

    def _opened(self, key: Key, rule: WindowRule, event: PendingEvent, person: Person | None) -> FoldedBatch:
        at = event.occurred_at
        closes_at = rule.opens(event, person)
        if rule.quiet is not None and self._is_quiet(key, at, rule.quiet):
            return self._alone(key, at, rule)
        if not rule.leading:
            return self._new(key, at, closes_at, rule)
        first = self._alone(key, at, rule)
        self._new(key, at, closes_at, rule)
        return first

    def _new(self, key: Key, at: datetime, closes_at: datetime, rule: WindowRule) -> FoldedBatch:
        batch = self._open[key] = FoldedBatch(None, key, at, closes_at, closes_at, 0, slide=rule.slide(at))
        self.touched[id(batch)] = batch
        return batch

    def _alone(self, key: Key, at: datetime, rule: WindowRule) -> FoldedBatch:
        """Return a batch for one event, to be delivered at once."""
        batch = self._new(key, at, at, rule)
        self._close_early(batch, at)
        self._last_at[key] = at
        return batch

    def _is_quiet(self, key: Key, at: datetime, quiet: timedelta) -> bool:
        last = self._last_at.get(key)
        return last is None or at - last > quiet

    def _flush(self, event: PendingEvent, batch: FoldedBatch | None) -> None:
        self.filtered.append((event.id, Reason.FLUSH if event.kind == "flush" else Reason.RECOMPUTED))
        wish = json.loads(event.data_json or "{}")
        # One that names its batch leaves alone the one that was opened since.
        if batch is None or wish.get("batch", batch.id) != batch.id:
            return
        if event.occurred_at >= batch.closes_at:
            self._close(batch)
            return
        if event.kind == "recompute" and self._recompute(event, batch, wish["closes_at"]):
            self.touched[id(batch)] = batch
            return
        self._close_early(batch, event.occurred_at)

    def _recompute(self, event: PendingEvent, batch: FoldedBatch, closes_at: str) -> bool:
        """Give a batch the window of now; return False where that ends before its events, or before now.

        The wish holds the end by the first event; what came since may have moved it.
        """
        person = self._persons.get(event.recipient) if self._persons else None
        last_at = batch.last_at or batch.opened_at
        rule = self._rules(batch.key, None) if person is None else self._personal_rule(batch.key, person)
        slide = rule.slide(batch.opened_at)
        end = slide.extends(last_at, datetime.fromisoformat(closes_at))
        if end <= max(last_at, event.occurred_at):
            return False
        batch.closes_at = batch.deliver_at = end
        batch.slide = slide
        return True

    def _close_early(self, batch: FoldedBatch, at: datetime) -> None:
        at_once = min(at, self._clock)
        # The key's former batch may have been closed by a time that the clock has not reached: stay behind it.
        batch.deliver_at = max(at_once, self._former_due.get(batch.key, at_once))
        self._close(batch)

    def _close(self, batch: FoldedBatch) -> None:
        batch.state = BatchState.CLOSED
        self.touched[id(batch)] = batch
        self._former_due[batch.key] = batch.deliver_at
        if batch.last_at is not None:
            self._last_at[batch.key] = max(batch.last_at, self._last_at.get(batch.key, batch.last_at))
        del self._open[batch.key]


def key_of(event: PendingEvent, hosts: Mapping[str, str]) -> Key:
    """Return the key of the batch that takes an event."""
    policy, recipient, tenant, key = event[1:5]
    return (hosts.get(policy, policy), recipient, tenant, key) if hosts else (policy, recipient, tenant, key)
