"""What providers tell later about messages, and what becomes of deliveries by it, by the bucket's owner alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from . import arrays
from .connection import Connection
from .round_trips import sent_together
from .statements import load


class ProviderKind(StrEnum):
    """What happened, by the names of SendGrid's Event Webhook, and `blocked`, which is its bounce of type blocked.

    Each is more telling than those before it. They come in any order, and one that says that a message was delivered
    may be followed by a bounce: the most telling one is what stands at the delivery.
    """

    PROCESSED = "processed"
    DEFERRED = "deferred"
    BLOCKED = "blocked"
    """Turned away for now: nothing is wrong with the address."""
    DELIVERED = "delivered"
    DROPPED = "dropped"
    """The provider took the message and did not send it: the address is on one of its own lists, or is none."""
    BOUNCE = "bounce"
    GROUP_UNSUBSCRIBE = "group_unsubscribe"
    UNSUBSCRIBE = "unsubscribe"
    SPAM_REPORT = "spamreport"


TELLING = list(ProviderKind)
NEWEST = 1000
"""So many of the events that came last are asked how far the webhook has told."""


class ToldEvent(NamedTuple):
    """An event that its delivery's owner has not yet taken note of."""

    id: int
    delivery_id: int
    attempt: int
    kind: str
    """A `ProviderKind`, or one that newer code has written."""
    occurred_at: datetime


class Proven(NamedTuple):
    """A delivery that an event has told something of; it was in the state `was` before."""

    id: int
    policy: str
    was: str
    new_duplicates: int


class Settled(NamedTuple):
    """A delivery of unknown fate whose grace has ended: it goes again, or is held for a person."""

    id: int
    policy: str
    goes_again: bool


@dataclass(slots=True)
class Told:
    """What a chunk of events says of one delivery."""

    attempts: set[int] = field(default_factory=set)
    kind: str = ""
    delivered_at: datetime | None = None

    def add(self, event: ToldEvent) -> None:
        """Take one event in."""
        self.attempts.add(event.attempt)
        self.kind = max(self.kind, event.kind, key=_telling)
        if event.kind == ProviderKind.DELIVERED:
            self.delivered_at = min(self.delivered_at or event.occurred_at, event.occurred_at)


def gather(events: Iterable[ToldEvent]) -> dict[int, Told]:
    """Return what events say, by delivery."""
    found: dict[int, Told] = {}
    for event in events:
        found.setdefault(event.delivery_id, Told()).add(event)
    return found


def _telling(kind: str) -> int:
    return TELLING.index(ProviderKind(kind)) + 1 if kind in TELLING else 0


def probe_provider(connection: Connection, owner: UUID) -> list[int]:
    """Return the owner's buckets in which events have come, or a grace has ended."""
    return [bucket for (bucket,) in connection.execute(load("probe_provider"), {"owner": owner})]


def take_note(
    connection: Connection, *, bucket: int, owner: UUID, epoch: int, limit: int
) -> tuple[list[ToldEvent], list[Proven]]:
    """Take note of up to `limit` events of a bucket; return them, and the deliveries that they tell of.

    Changes nothing where the bucket is no longer held with this epoch.
    """
    with sent_together(connection):
        rows = connection.execute(load("new_provider_events"), {"bucket": bucket, "limit": limit})
    events = list(map(ToldEvent._make, rows))
    if not events:
        return [], []
    told = gather(events)
    fence = {"bucket": bucket, "owner": owner, "epoch": epoch}
    with sent_together(connection):
        # In this order: a fence that closes in between leaves events that are taken note of twice, never none.
        proven = connection.execute(load("prove_deliveries"), _columns(told) | fence)
        connection.execute(load("apply_provider_events"), {"ids": arrays.numbers(e.id for e in events)} | fence)
    return events, list(map(Proven._make, proven))


def _columns(told: Mapping[int, Told]) -> dict[str, Any]:
    # In the order of their ids, in which everybody locks them.
    rows = [(id_, told[id_]) for id_ in sorted(told)]
    return {
        "ids": arrays.numbers(id_ for id_, _ in rows),
        "attempts": arrays.texts(arrays.numbers(sorted(one.attempts)) for _, one in rows),
        "statuses": arrays.texts(one.kind for _, one in rows),
        "delivered_at": arrays.times_or_null(one.delivered_at for _, one in rows),
        "order": list(TELLING),
    }


def settle_unknown(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    resend_policies: Sequence[str],
    reconcile_policies: Sequence[str],
    most_attempts: int,
    limit: int,
) -> list[Settled]:
    """Send again, or hold, up to `limit` deliveries of unknown fate whose grace has ended.

    Those of `reconcile_policies` go again where the webhook is alive: it has told of what happened after the attempt.
    """
    row = connection.execute(load("newest_provider_event"), {"limit": NEWEST}).fetchone()
    parameters = {
        "bucket": bucket,
        "owner": owner,
        "epoch": epoch,
        "told_until": row and row[0],
        "resend_policies": list(resend_policies),
        "reconcile_policies": list(reconcile_policies),
        "most_attempts": most_attempts,
        "limit": limit,
    }
    return [Settled._make(found) for found in connection.execute(load("settle_unknown"), parameters)]


def delete_provider_events(connection: Connection, keep: timedelta, limit: int) -> int:
    """Delete events that came longer ago; return how many, at most `limit`: call it again where it is that many."""
    parameters = {"keep": keep.total_seconds(), "limit": limit}
    return connection.execute(load("delete_provider_events"), parameters).rowcount
