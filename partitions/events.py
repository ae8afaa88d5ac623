"""Folding: new events into their batches, set-wise, by the bucket's owner alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from . import arrays
from .connection import Connection
from .errors import LeaseLostError
from .folding import Fold, FoldedBatch, Rules
from .held import HELD, who_is_held
from .known import next_ids, read_known
from .leases import ask_for_lease
from .marks import START, Marks, Place
from .round_trips import sent_together
from .rows import PendingEvent
from .statements import load
from .states import Reason

MICROSECOND = timedelta(microseconds=1)


class Folded(NamedTuple):
    """What a fold did; `reached` is where the next one may start."""

    events: Sequence[PendingEvent]
    clock: datetime
    """The event clock. Whatever was committed by then was visible to this fold."""
    reached: Place
    earliest: datetime | None
    """The earliest time at which one of the batches that it touched is to be sealed."""
    read: int
    """How many pending events it has seen: those folded, and those of recipients who are left for later."""


@dataclass(frozen=True, slots=True)
class NotificationProbe:
    """A bucket with something to fold, to seal or to send."""

    bucket: int
    pending: bool
    due: bool
    safe: bool
    """Deliveries are to go by channels that may send twice, or by the others."""
    unsafe: bool
    ripe: bool = False
    """The time has come of deliveries that waited, by whichever channel."""

    @property
    def only_unsafe(self) -> bool:
        """Return whether there is nothing else to do in the bucket."""
        return not (self.pending or self.due or self.safe or self.ripe)


def read_clock(connection: Connection) -> datetime:
    """Return the event clock. Events that were committed together with it are visible to every later statement."""
    return _clock(connection.execute(load("read_clock")).fetchone())


def probe_notifications(
    connection: Connection,
    owner: UUID,
    marks: Mapping[int, Marks],
    *,
    policies: Sequence[str],
    safe: Sequence[str],
    unsafe: Sequence[str],
) -> list[NotificationProbe]:
    """Return those of the owner's buckets among `marks` that have something to do behind these, in order.

    `safe` and `unsafe` are the channels that may send twice and the others.
    """
    places = marks.values()
    parameters = {
        "owner": owner,
        "policies": list(policies),
        "safe": list(safe),
        "unsafe": list(unsafe),
        "buckets": arrays.numbers(marks),
        "folded_times": arrays.times(mark.folded[0] for mark in places),
        "folded_ids": arrays.numbers(mark.folded[1] for mark in places),
        "sealed_times": arrays.times(mark.sealed[0] for mark in places),
        "sealed_ids": arrays.numbers(mark.sealed[1] for mark in places),
        "safe_ids": arrays.numbers(mark.safe for mark in places),
        "unsafe_ids": arrays.numbers(mark.any_unsafe for mark in places),
    }
    with sent_together(connection):
        rows = connection.execute(load("probe_notifications"), parameters)
    return [NotificationProbe(*row) for row in rows]


def unknown_policies(connection: Connection, owner: UUID, policies: Sequence[str]) -> list[tuple[str, int]]:
    """Return policies of pending events in the owner's buckets that are not among `policies`, with a bounded count."""
    rows = connection.execute(load("unknown_policies"), {"owner": owner, "policies": list(policies)})
    return [(policy, count) for policy, count in rows]


class Folding(NamedTuple):
    """What is known of the policies whose events are folded, `policies`.

    `hosts` are those whose events go into another one's batches, `reading` those whose windows depend on the events'
    data, `quiet` the hosts that ask when a key's last event was, `own_left_out` those that leave out what a recipient
    did itself, and `personal` says that windows depend on who the recipient is.
    """

    rules: Rules
    policies: Sequence[str]
    hosts: Mapping[str, str] = {}
    reading: Sequence[str] = ()
    quiet: Collection[str] = ()
    own_left_out: Sequence[str] = ()
    personal: bool = False


def fold_events(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    folding: Folding,
    limit: int = 5000,
    after: Place = START,
    left: Collection[str] = (),
) -> Folded:
    """Fold up to `limit` pending events of a bucket, those behind `after`, in three round trips.

    Events of the recipients `left` stay pending. Raises LeaseLostError, having written nothing, when the bucket is no
    longer held with this epoch, and HeldError where others hold, or have taken out, what was to be folded.
    """
    # What is read stays as it is without a lock, for the owner alone changes it, and what is written is fenced: a
    # process that is stopped while it thinks must not keep the lease locked.
    rows, clock = _pending(connection, bucket, folding, limit, after)
    reached = (rows[-1].occurred_at, rows[-1].id) if rows else after
    events = [event for event in rows if event.recipient not in left] if left else rows
    if not events:
        return Folded(events, clock, reached, None, len(rows))
    known, ids = read_known(connection, bucket, events, folding, clock)
    fold = Fold(folding.rules, clock, known, folding.hosts)
    for event in events:
        fold.add(event)
    batches = list(fold.touched.values())
    _number(connection, batches, ids)
    lease: dict[str, Any] = {"bucket": bucket, "owner": owner, "epoch": epoch}
    try:
        with sent_together(connection):
            held = ask_for_lease(connection, bucket, owner, epoch)
            _write(connection, lease, batches, fold.filtered)
    except HELD:
        old = [batch.id for batch in batches if batch.id is not None and not batch.is_new]
        raise who_is_held(connection, **lease, events=[event.id for event in events], batches=old) from None
    if not held():
        raise LeaseLostError(bucket, epoch)
    return Folded(events, clock, reached, min((batch.deliver_at for batch in batches), default=None), len(rows))


def _pending(
    connection: Connection, bucket: int, folding: Folding, limit: int, after: Place
) -> tuple[list[PendingEvent], datetime]:
    """Return pending events, and the clock by which all that was committed is among them, or behind them."""
    parameters = {
        "bucket": bucket,
        "policies": list(folding.policies),
        "own_left_out": list(folding.own_left_out),
        "reading": list(folding.reading),
        "limit": limit,
        "after_time": after[0],
        "after_id": after[1],
    }
    with sent_together(connection):
        clock_row = connection.execute(load("read_clock"))  # before the events: see Folded.clock
        pending = connection.execute(load("pending_events"), parameters)
    return list(map(PendingEvent._make, pending.fetchall())), _clock(clock_row.fetchone())


def _clock(row: tuple[datetime] | None) -> datetime:
    if row is None:
        raise RuntimeError("the table pgsupervise_clock is empty: run `manage.py migrate` again")
    return row[0]


def _number(connection: Connection, batches: Sequence[FoldedBatch], ids: list[int]) -> None:
    """Give the new batches their ids."""
    new = [batch for batch in batches if batch.id is None]
    if len(new) > len(ids):  # a key whose batch was closed, and the next one opened, by this very fold
        ids += [id_ for (id_,) in next_ids(connection, len(new) - len(ids))]
    for batch, id_ in zip(new, ids, strict=False):
        batch.id, batch.is_new = id_, True


def _write(
    connection: Connection,
    lease: dict[str, object],
    batches: Sequence[FoldedBatch],
    filtered: Sequence[tuple[int, Reason]],
) -> None:
    known = [batch for batch in batches if not batch.is_new]
    new = [batch for batch in batches if batch.is_new]
    # The old ones first: a key's former batch must be closed before its next one can be open.
    if known:
        connection.execute(load("update_batches"), {**lease, "ids": _ids(known), **_columns(known)})
    if new:
        policies, recipients, tenants, keys = map(arrays.texts, zip(*(batch.key for batch in new), strict=True))
        connection.execute(
            load("insert_batches"),
            {
                **lease,
                "ids": _ids(new),
                "policies": policies,
                "recipients": recipients,
                "tenants": tenants,
                "keys": keys,
                "opened_at": arrays.times(batch.opened_at for batch in new),
                **_columns(new),
            },
        )
    folded = [(event_id, batch.id) for batch in batches for event_id in batch.event_ids]
    if folded:
        event_ids, batch_ids = map(arrays.numbers, zip(*folded, strict=True))
        connection.execute(load("fold_events"), {**lease, "ids": event_ids, "batch_ids": batch_ids})
    if filtered:
        columns = {
            "ids": arrays.numbers(event_id for event_id, _ in filtered),
            "reasons": arrays.texts(reason for _, reason in filtered),
        }
        connection.execute(load("filter_events"), {**lease, **columns})


def _ids(batches: Sequence[FoldedBatch]) -> str:
    return arrays.numbers(batch.id for batch in batches if batch.id is not None)


def _columns(batches: Sequence[FoldedBatch]) -> dict[str, str]:
    return {
        "states": arrays.texts(batch.state for batch in batches),
        "closes_at": arrays.times(batch.closes_at for batch in batches),
        "deliver_at": arrays.times(batch.deliver_at for batch in batches),
        "item_counts": arrays.numbers(batch.item_count for batch in batches),
        "last_at": arrays.times_or_null(batch.last_at for batch in batches),
        "slides_by": arrays.numbers_or_null(
            None if batch.slide is None else batch.slide.by // MICROSECOND for batch in batches
        ),
        "slides_until": arrays.times_or_null(
            batch.slide.until if batch.slide is not None and batch.slide.by else None for batch in batches
        ),
    }
