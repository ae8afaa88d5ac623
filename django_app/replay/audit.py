"""Compares what arrived with what is in the file; it believes none of the workers' own counts."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from .reader import FileEvent


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the database has it."""

    id: int
    recipient: str
    object: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Digest:
    """A message that arrived; `item_ids` are the events' ids in the order in which the recipient sees them."""

    recipient: str
    item_ids: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the audit found; everything but the first four is a fault."""

    events: int
    digests: int
    items: int
    fingerprint: str
    lost: int
    """Events that are in no digest of their recipient."""
    duplicated: int
    """Appearances of an event beyond its first, and appearances where it does not belong."""
    out_of_order: int
    """Digests that arrived after one with newer events, and items that stand behind a newer one."""


@dataclass(slots=True)
class _Tally:
    """One pass over the digests in the order of their arrival."""

    events: Mapping[int, StoredEvent]
    by_object: bool
    seen: Counter[int] = field(default_factory=Counter)
    strays: int = 0
    out_of_order: int = 0
    names: list[str] = field(default_factory=list)
    newest: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    """The newest event that has arrived, by whom and what it is batched by."""

    def add(self, digest: Digest) -> None:
        known = [self.events[id_] for id_ in digest.item_ids if id_ in self.events]
        own = [event for event in known if event.recipient == digest.recipient]
        name = self._batched_by(own[0]) if own else digest.recipient
        items = [(event.at, event.id) for event in own if self._batched_by(event) == name]
        self.strays += len(digest.item_ids) - len(items)
        self.seen.update(id_ for _, id_ in items)
        self.names.append(f"{name}#{len(digest.item_ids)}")
        self._check_order(name, items)

    def _batched_by(self, event: StoredEvent) -> str:
        return f"{event.recipient}|{event.object}" if self.by_object else event.recipient

    def _check_order(self, name: str, items: list[tuple[datetime, int]]) -> None:
        if not items:
            return
        self.out_of_order += sum(later < earlier for earlier, later in pairwise(items))
        newest = self.newest.get(name)
        if newest is not None and min(items) < newest:
            self.out_of_order += 1
        self.newest[name] = max(items) if newest is None else max(newest, *items)


def audit(
    file: Sequence[FileEvent], stored: Iterable[StoredEvent], arrived: Iterable[Digest], *, by_object: bool
) -> Findings:
    """Return what is to be said of the digests `arrived`, given in the order of their arrival.

    `stored` are the database's events in order of their ids, which is the file's order.
    """
    pairs = zip(file, stored, strict=False)
    tally = _Tally({event.id: event for row, event in pairs if _is_same(row, event)}, by_object)
    for digest in arrived:
        tally.add(digest)
    return Findings(
        events=len(file),
        digests=len(tally.names),
        items=sum(int(name.rpartition("#")[2]) for name in tally.names),
        fingerprint=fingerprint(tally.names),
        lost=len(file) - len(tally.seen),
        duplicated=tally.seen.total() - len(tally.seen) + tally.strays,
        out_of_order=tally.out_of_order,
    )


def fingerprint(names: Iterable[str]) -> str:
    """Return twelve digits that are the same for the same digests, in whatever order and on whichever day they came."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:12]


def _is_same(row: FileEvent, event: StoredEvent) -> bool:
    return (row.recipient, row.object, row.at) == (event.recipient, event.object, event.at)
