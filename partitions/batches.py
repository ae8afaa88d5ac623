"""Sealing: a batch whose time has come becomes deliveries, in one transaction."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap
from typing import NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from .connection import Connection
from .errors import LeaseLostError
from .leases import hold_lease
from .rows import DueBatch, Item, NewDelivery
from .statements import load

# What is read of the items at once is bounded; a batch above the last bound would only get its worker killed.
MOST_ITEMS_AT_ONCE = 5_000
MOST_BYTES_AT_ONCE = 16 * 2**20
MOST_BYTES_A_BATCH = 64 * 2**20


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """A batch whose time has come, but whose items cannot be had; it stops no other."""

    id: int
    policy: str
    error: Exception


def due_batches(
    connection: Connection, *, bucket: int, policies: Sequence[str], clock: datetime, limit: int = 200
) -> list[DueBatch | UnreadableBatch]:
    """Return batches of a bucket whose time has come at `clock`, oldest first, with their items in order.

    Fewer than `limit` when their items are many or large; an empty list means that no more are due.
    """
    parameters = {"bucket": bucket, "policies": list(policies), "clock": clock, "limit": limit}
    weighed = list(_what_fits(starmap(_Weighed, connection.execute(load("due_batches"), parameters))))
    readable = [batch.id for batch in weighed if batch.bytes <= MOST_BYTES_A_BATCH]
    rows: dict[int, list[_ItemRow]] = defaultdict(list)
    for batch_id, *item in connection.execute(load("batch_items"), {"bucket": bucket, "ids": readable}):
        rows[batch_id].append(_ItemRow(*item))
    return [_due_batch(bucket, batch, rows.pop(batch.id, [])) for batch in weighed]


class _Weighed(NamedTuple):
    id: int
    policy: str
    recipient: str
    key: str
    opened_at: datetime
    closes_at: datetime
    amount: int
    bytes: int


class _ItemRow(NamedTuple):
    id: int
    occurred_at: datetime
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
        return UnreadableBatch(batch.id, batch.policy, ValueError(error))
    try:
        items = tuple(Item(*row[:-1], data=json.loads(row.data)) for row in rows)
    except (ValueError, RecursionError) as error:  # numbers too long or nesting too deep for Python, not for PostgreSQL
        return UnreadableBatch(batch.id, batch.policy, error)
    return DueBatch(batch.id, bucket, batch.policy, batch.recipient, batch.key, batch.opened_at, batch.closes_at, items)


def seal_batches(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    rendered: Sequence[tuple[DueBatch, Sequence[NewDelivery]]],
) -> int:
    """Seal batches and insert their deliveries in one transaction; return how many were sealed.

    Raises LeaseLostError, having written nothing, when the bucket is no longer held with this epoch.
    """
    with connection.transaction():
        if not hold_lease(connection, bucket, owner, epoch):
            raise LeaseLostError(bucket, epoch)
        ids = [batch.id for batch, _ in rendered]
        sealed = {row[0] for row in connection.execute(load("seal_batches"), {"bucket": bucket, "ids": ids})}
        new = [(batch, delivery) for batch, deliveries in rendered if batch.id in sealed for delivery in deliveries]
        connection.execute(
            load("insert_deliveries"),
            {
                "bucket": bucket,
                "batch_ids": [batch.id for batch, _ in new],
                "policies": [batch.policy for batch, _ in new],
                "recipients": [batch.recipient for batch, _ in new],
                "channels": [delivery.channel for _, delivery in new],
                "payloads": [Jsonb(delivery.payload) for _, delivery in new],
            },
        )
    return len(sealed)


def postpone_batches(
    connection: Connection, *, bucket: int, owner: UUID, epoch: int, errors: Sequence[tuple[int, str]], until: datetime
) -> None:
    """Keep batches that could not be rendered, each with its error, until the event clock reaches `until`.

    Raises LeaseLostError, having written nothing, when the bucket is no longer held with this epoch.
    """
    with connection.transaction():
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
