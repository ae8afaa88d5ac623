"""Folding: new events into their batches, set-wise, by the bucket's owner alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from .connection import Connection
from .errors import LeaseLostError
from .folding import Fold, FoldedBatch, Key
from .leases import hold_lease
from .rows import OpenBatch, PendingEvent
from .statements import load
from .windows import WindowRule


@dataclass(frozen=True, slots=True)
class NotificationProbe:
    """A bucket with something to fold, to seal or to send."""

    bucket: int
    pending: bool
    due: bool
    waiting: bool


def read_clock(connection: Connection) -> datetime:
    """Return the event clock. Events that were committed together with it are visible to every later statement."""
    row = connection.execute(load("read_clock")).fetchone()
    if row is None:
        raise RuntimeError("the table pgsupervise_clock is empty: run `manage.py migrate` again")
    clock: datetime = row[0]
    return clock


def probe_notifications(
    connection: Connection, owner: UUID, policies: Sequence[str], channels: Sequence[str]
) -> list[NotificationProbe]:
    """Return the owner's buckets that have something to do, in order."""
    parameters = {"owner": owner, "policies": list(policies), "channels": list(channels)}
    return [NotificationProbe(*row) for row in connection.execute(load("probe_notifications"), parameters)]


def unknown_policies(connection: Connection, owner: UUID, policies: Sequence[str]) -> list[tuple[str, int]]:
    """Return policies of pending events in the owner's buckets that are not among `policies`, with a bounded count."""
    rows = connection.execute(load("unknown_policies"), {"owner": owner, "policies": list(policies)})
    return [(policy, count) for policy, count in rows]


def fold_events(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    rules: Callable[[str], WindowRule],
    policies: Sequence[str],
    clock: datetime,
    limit: int = 5000,
) -> list[PendingEvent]:
    """Fold up to `limit` pending events of a bucket in one transaction and return them.

    Raises LeaseLostError, having written nothing, when the bucket is no longer held with this epoch.
    """
    with connection.transaction():
        if not hold_lease(connection, bucket, owner, epoch):
            raise LeaseLostError(bucket, epoch)
        events = [
            PendingEvent(*row)
            for row in connection.execute(
                load("pending_events"), {"bucket": bucket, "policies": list(policies), "limit": limit}
            )
        ]
        if not events:
            return []
        fold = Fold(rules, clock, _open_batches(connection, bucket, events))
        for event in events:
            fold.add(event)
        _write(connection, bucket, list(fold.touched.values()))
    return events


def _open_batches(connection: Connection, bucket: int, events: Sequence[PendingEvent]) -> list[OpenBatch]:
    keys: set[Key] = {(event.policy, event.recipient, event.key) for event in events}
    policies, recipients, wanted = zip(*keys, strict=True)
    rows = connection.execute(
        load("open_batches"),
        {"bucket": bucket, "policies": list(policies), "recipients": list(recipients), "keys": list(wanted)},
    )
    return [OpenBatch(*row) for row in rows]


def _write(connection: Connection, bucket: int, batches: Sequence[FoldedBatch]) -> None:
    known = [batch for batch in batches if batch.id is not None]
    new = [batch for batch in batches if batch.id is None]
    # The old ones first: a key's former batch must be closed before its next one can be open.
    if known:
        connection.execute(load("update_batches"), {"bucket": bucket, "ids": [b.id for b in known], **_columns(known)})
    if new:
        for batch, row in zip(new, connection.execute(load("next_batch_ids"), {"count": len(new)}), strict=True):
            batch.id = row[0]
        policies, recipients, keys = zip(*(batch.key for batch in new), strict=True)
        connection.execute(
            load("insert_batches"),
            {
                "bucket": bucket,
                "ids": [b.id for b in new],
                "policies": list(policies),
                "recipients": list(recipients),
                "keys": list(keys),
                "opened_at": [b.opened_at for b in new],
                **_columns(new),
            },
        )
    folded = [(event_id, batch.id) for batch in batches for event_id in batch.event_ids]
    event_ids, batch_ids = zip(*folded, strict=True)
    connection.execute(load("fold_events"), {"bucket": bucket, "ids": list(event_ids), "batch_ids": list(batch_ids)})


def _columns(batches: Sequence[FoldedBatch]) -> dict[str, list[object]]:
    return {
        "states": [b.state for b in batches],
        "closes_at": [b.closes_at for b in batches],
        "deliver_at": [b.deliver_at for b in batches],
        "item_counts": [b.item_count for b in batches],
    }
