"""Sealing: a batch whose time has come becomes deliveries, in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from .connection import Connection
from .errors import LeaseLostError
from .leases import hold_lease
from .rows import DueBatch, Item, NewDelivery
from .statements import load


def due_batches(
    connection: Connection, *, bucket: int, policies: Sequence[str], clock: datetime, limit: int = 200
) -> list[DueBatch]:
    """Return batches of a bucket whose time has come at `clock`, oldest first, with their items in order."""
    rows = connection.execute(
        load("due_batches"), {"bucket": bucket, "policies": list(policies), "clock": clock, "limit": limit}
    )
    return [
        DueBatch(id_, bucket, policy, recipient, key, opened_at, closes_at, tuple(_item(item) for item in items or ()))
        for id_, policy, recipient, key, opened_at, closes_at, items in rows
    ]


def _item(fields: list[object]) -> Item:
    id_, occurred_at, actor, object_, data = fields
    return Item(id_, datetime.fromisoformat(str(occurred_at)), actor, object_, data)  # type: ignore[arg-type]  # as due_batches.sql built it


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
