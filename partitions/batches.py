"""Sealing: a batch whose time has come becomes deliveries, in one transaction."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from . import arrays
from .connection import Connection
from .errors import LeaseLostError
from .held import HELD, who_is_held
from .leases import ask_for_lease, hold_lease
from .marks import START, Place
from .round_trips import sent_together
from .rows import DueBatch, Item, NewDelivery
from .statements import load

_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# What is read of the items at once is bounded; a batch above the last bound would only get its worker killed.
MOST_ITEMS_AT_ONCE = 5_000
MOST_BYTES_AT_ONCE = 16 * 2**20
MOST_BYTES_A_BATCH = 64 * 2**20


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """A batch whose time has come, but whose items cannot be had; it stops no other."""

    id: int
    policy: str
    deliver_at: datetime
    error: Exception


def due_batches(
    connection: Connection,
    *,
    bucket: int,
    policies: Sequence[str],
    clock: datetime,
    limit: int = 1000,
    bare: Collection[str] = (),
    after: Place = START,
) -> list[DueBatch | UnreadableBatch]:
    """Return batches of a bucket behind `after` whose time has come at `clock`: oldest first, items in order.

    Those of `bare` policies have the ids of their items only. Fewer than `limit` when the items are many or large; an
    empty list means that no more are due.
    """
    parameters = {"bucket": bucket, "policies": list(policies), "clock": clock, "limit": limit}
    parameters |= {"bare": list(bare), "after_time": after[0], "after_id": after[1]}
    with sent_together(connection):
        due = connection.execute(load("due_batches"), parameters)
    weighed = list(_what_fits(map(_Weighed._make, due)))
    wanted = [batch.id for batch in weighed if batch.policy not in bare and batch.bytes <= MOST_BYTES_A_BATCH]
    rows: dict[int, list[_ItemRow]] = defaultdict(list)
    if wanted:
        with sent_together(connection):
            items = connection.execute(load("batch_items"), {"bucket": bucket, "ids": arrays.numbers(wanted)})
        for batch_id, *item in items:
            rows[batch_id].append(_ItemRow._make(item))
    return [_due_batch(bucket, batch, rows.pop(batch.id, [])) for batch in weighed]


class _Weighed(NamedTuple):
    id: int
    policy: str
    recipient: str
    tenant: str
    key: str
    opened_at: datetime
    closes_at: datetime
    deliver_at: datetime
    ids: list[int] | None
    bytes: int

    @property
    def amount(self) -> int:
        return len(self.ids or ())


class _ItemRow(NamedTuple):
    id: int
    occurred_at: datetime
    policy: str
    actor: str
    object: str
    data: str


def _what_fits(batches: Iterable[_Weighed]) -> Iterator[_Weighed]:
    """Yield the first batches up to what may be in memory at once: one, however large it is, and then some."""
    items = size = 0
    for number, batch in enumerate(batches):
        items += batch.amount
        size += batch.bytes if batch.bytes <= MOST_BYTES_A_BATCH else 0  # those items are not read
        if number and (items > MOST_ITEMS_AT_ONCE or size > MOST_BYTES_AT_ONCE):
            return
        yield batch


def _due_batch(bucket: int, batch: _Weighed, rows: list[_ItemRow]) -> DueBatch | UnreadableBatch:
    if batch.bytes > MOST_BYTES_A_BATCH:
        error = f"{batch.amount} items of {batch.bytes} bytes, of which a batch may have {MOST_BYTES_A_BATCH}"
        return UnreadableBatch(batch.id, batch.policy, batch.deliver_at, ValueError(error))
    try:
        items = tuple(Item(*row[:-1], data=json.loads(row.data)) for row in rows)
    except (ValueError, RecursionError) as error:  # numbers too long or nesting too deep for Python, not for PostgreSQL
        return UnreadableBatch(batch.id, batch.policy, batch.deliver_at, error)
    return DueBatch(batch.id, bucket, *batch[1:8], batch.ids or (), items)


def seal_batches(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    rendered: Sequence[tuple[DueBatch, Sequence[NewDelivery]]],
    without_call: Collection[str] = (),
) -> int:
    """Seal batches and insert their deliveries in one transaction and round trip; return how many were sealed.

    Deliveries by the channels `without_call` are accepted with that. Raises LeaseLostError, having written nothing,
    when the bucket is no longer held with this epoch, and HeldError where others hold one of the batches or have taken
    out an item.
    """
    new = [(batch.id, delivery) for batch, deliveries in rendered for delivery in deliveries]
    lease: dict[str, Any] = {"bucket": bucket, "owner": owner, "epoch": epoch}
    ids = arrays.numbers(batch.id for batch, _ in rendered)
    item_ids = [id_ for batch, _ in rendered for id_ in batch.item_ids]
    try:
        with sent_together(connection):
            held = ask_for_lease(connection, bucket, owner, epoch)
            sealed = connection.execute(load("seal_batches"), {**lease, "ids": ids})
            checked = {"bucket": bucket, "ids": ids, "item_ids": arrays.numbers(item_ids)}
            connection.execute(load("sealed_as_rendered"), checked)
            connection.execute(
                load("insert_deliveries"),
                {
                    "bucket": bucket,
                    "batch_ids": arrays.numbers(id_ for id_, _ in new),
                    "channels": arrays.texts(delivery.channel for _, delivery in new),
                    "payloads": arrays.texts(_as_json(delivery.payload) for _, delivery in new),
                    "without_call": list(without_call),
                },
            )
    except HELD:
        raise who_is_held(connection, **lease, batches=(batch.id for batch, _ in rendered), rendered=item_ids) from None
    if not held():
        raise LeaseLostError(bucket, epoch)
    return sealed.rowcount


def postpone_batches(
    connection: Connection, *, bucket: int, owner: UUID, epoch: int, errors: Sequence[tuple[int, str]], until: datetime
) -> None:
    """Keep batches that could not be rendered, each with its error, until the event clock reaches `until`.

    Raises LeaseLostError, having written nothing, when the bucket is no longer held with this epoch.
    """
    with sent_together(connection):
        if not hold_lease(connection, bucket, owner, epoch):
            raise LeaseLostError(bucket, epoch)
        connection.execute(
            load("postpone_batches"),
            {
                "bucket": bucket,
                "ids": [id_ for id_, _ in errors],
                "errors": [text for _, text in errors],
                "until": until,
            },
        )
