"""Putting events into batches: pure, so that the same events give the same digests on every machine and every day."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from .rows import OpenBatch, PendingEvent
from .states import BatchState
from .windows import WindowRule

Key = tuple[str, str, str]
"""(policy, recipient, key): at most one batch of a key is open."""


@dataclass(slots=True)
class FoldedBatch:
    """A batch as a fold leaves it; `id` is None until the batch is inserted."""

    id: int | None
    key: Key
    opened_at: datetime
    closes_at: datetime
    deliver_at: datetime
    item_count: int
    state: BatchState = BatchState.OPEN
    event_ids: list[int] = field(default_factory=list)
    is_new: bool = False


class Fold:
    """Takes events in order of (occurred_at, id) and keeps what becomes of the batches."""

    def __init__(self, rules: Callable[[str], WindowRule], clock: datetime, open_batches: Iterable[OpenBatch]) -> None:
        self._rules = rules
        self._clock = clock
        self._open: dict[Key, FoldedBatch] = {}
        self.touched: dict[int, FoldedBatch] = {}
        """By identity, in the order in which they were first touched."""
        self._former_due: dict[Key, datetime] = {}
        for batch in open_batches:
            key = (batch.policy, batch.recipient, batch.key)
            self._open[key] = FoldedBatch(
                batch.id, key, batch.opened_at, batch.closes_at, batch.closes_at, batch.item_count
            )

    def add(self, event: PendingEvent) -> None:
        """Put one event into its batch.

        An event behind the window closes the open batch and opens the next one. An event that is older than the open
        batch joins it: nothing is lost, and nothing is sent twice.
        """
        event_id, at = event.id, event.occurred_at
        key = event[1:4]
        rule = self._rules(key[0])
        batch = self._open.get(key)
        if batch is not None and at >= batch.closes_at:
            self._close(batch)
            batch = None
        if batch is None:
            batch = self._opened(key, rule, at)
        else:
            batch.closes_at = rule.closes_at(batch.opened_at, at, batch.closes_at)
        batch.deliver_at = batch.closes_at
        batch.item_count += 1
        batch.event_ids.append(event_id)
        self.touched[id(batch)] = batch
        if rule.flush_at is not None and batch.item_count >= rule.flush_at:
            at_once = min(at, self._clock)
            # The key's former batch may have been closed by a time that the clock has not reached: stay behind it.
            batch.deliver_at = max(at_once, self._former_due.get(key, at_once))
            self._close(batch)

    def _opened(self, key: Key, rule: WindowRule, at: datetime) -> FoldedBatch:
        closes_at = rule.closes_at(at, at)
        batch = self._open[key] = FoldedBatch(None, key, at, closes_at, closes_at, 0)
        return batch

    def _close(self, batch: FoldedBatch) -> None:
        batch.state = BatchState.CLOSED
        self.touched[id(batch)] = batch
        self._former_due[batch.key] = batch.deliver_at
        del self._open[batch.key]
