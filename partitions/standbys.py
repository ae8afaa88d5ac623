"""Fallback channels: a digest's message waits as STANDBY until every channel before its own has refused."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from . import arrays
from .connection import Connection, Cursor
from .round_trips import sent_together
from .rows import ClaimedDelivery
from .statements import load

FALLBACKS = "fallbacks"
"""The key of a payload that names the channels in reserve, in order: only where there is it is anything settled."""
NOT_NEEDED = "not needed: another channel has accepted the digest"
PAGE = 1000


def has_standbys(delivery: ClaimedDelivery) -> bool:
    """Return whether other channels are in reserve for a delivery's digest."""
    return FALLBACKS in delivery.payload


def ask_to_settle(
    connection: Connection, *, bucket: int, owner: UUID, epoch: int, batch_ids: Collection[int]
) -> Cursor:
    """Say what becomes of the reserve of batches, after what is known of their deliveries has been written.

    In a transaction with that, so that a digest is handed on exactly once. Its rows are what was changed: (id, state).
    """
    parameters = {
        "bucket": bucket,
        "owner": owner,
        "epoch": epoch,
        "batch_ids": arrays.numbers(batch_ids),
        "not_needed": NOT_NEEDED,
    }
    return connection.execute(load("settle_standbys"), parameters)


def settle_left_standbys(connection: Connection, owner: UUID, after: int) -> int:
    """Settle what others have decided about, of a page of the owner's; return behind which id the next page begins.

    A worker settles what it sends itself. A message of unknown fate is REFUSED, or ACCEPTED, by hand: this finds it.
    """
    parameters = {"owner": owner, "after": after, "limit": PAGE}
    rows = connection.execute(load("left_standbys"), parameters).fetchall()
    left: Mapping[tuple[int, int], set[int]] = defaultdict(set)
    for _, bucket, epoch, batch_id, is_left in rows:
        if is_left:
            left[bucket, epoch].add(batch_id)
    if left:
        with sent_together(connection):
            for (bucket, epoch), batch_ids in left.items():
                ask_to_settle(connection, bucket=bucket, owner=owner, epoch=epoch, batch_ids=batch_ids)
    return rows[-1][0] if rows else 0
