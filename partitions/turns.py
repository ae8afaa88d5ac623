"""Turns: where more is due than is done at once, tenants that the front of the queue leaves out get theirs too.

The front goes by time, whoever's it is, as if there were no tenants. Only behind one that was full are the others
looked for, so nobody pays for this who has none, or no backlog.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from . import arrays
from .batches import UnreadableBatch, due_at
from .connection import Connection
from .deliveries import DeliveryClaim
from .marks import Place
from .round_trips import sent_together
from .rows import ClaimedDelivery, DueBatch
from .statements import load


class DueTurn(NamedTuple):
    """Due batches of tenants that a chunk has left out; behind the tenant `last` the next turn begins."""

    batches: list[DueBatch | UnreadableBatch]
    last: str


class ClaimTurn(NamedTuple):
    """Claims of one delivery each, for tenants that a claim has left out; `last` as in DueTurn."""

    claims: list[DeliveryClaim]
    last: str


def buckets_with_tenants(connection: Connection, owner: UUID) -> set[int]:
    """Return those of the owner's buckets in which deliveries of tenants wait."""
    with sent_together(connection):
        rows = connection.execute(load("tenants_waiting"), {"owner": owner})
    return {bucket for (bucket,) in rows}


def batches_in_turn(
    connection: Connection, front: Mapping[str, Any], *, end: Place, served: Collection[str], last: str, limit: int
) -> DueTurn:
    """Return up to `limit` batches of tenants that are not among those `served` by a chunk that ended at `end`.

    `front` are the arguments of due_batches for that chunk. Each is the next one of its recipient behind the chunk, so
    that a recipient's are sealed in order.
    """
    parameters = {**front, "after_time": end[0], "after_id": end[1]}
    parameters |= {"served": list(served), "last": last, "limit": limit}
    with sent_together(connection):
        rows = connection.execute(load("batches_in_turn"), parameters)
    found = rows.fetchall()
    places = [(deliver_at, id_) for _, deliver_at, id_ in found if id_ is not None]
    return DueTurn(due_at(connection, front, places) if places else [], found[0][0])


def deliveries_in_turn(
    connection: Connection, claim: DeliveryClaim, claimed: Sequence[ClaimedDelivery], *, last: str, limit: int
) -> ClaimTurn:
    """Return up to `limit` claims for tenants of which a claim, which found `claimed`, has taken nothing."""
    parameters = {
        "bucket": claim.bucket,
        "channels": claim.channels,
        "claimed": arrays.numbers(delivery.id for delivery in claimed),
        "after": claimed[-1].id,
        "last": last,
        "limit": limit,
    }
    with sent_together(connection):
        rows = connection.execute(load("deliveries_in_turn"), parameters)
    found = rows.fetchall()
    claims = [claim._replace(limit=1, after=id_ - 1, ripe=False) for _, id_ in found if id_ is not None]
    return ClaimTurn(claims, found[0][0])
