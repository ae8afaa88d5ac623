"""Whose turn it is where more waits to be sent than can be: tenants that the front of the queue leaves out."""

import time
from collections.abc import Sequence
from uuid import UUID

from pgsupervise.partitions import turns
from pgsupervise.partitions.deliveries import DeliveryClaim
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.turns import ClaimTurn

from .link import Link

MOST_BESIDE = 16
"""So many deliveries go beside the front of one claim; each is claimed by a statement of its own."""
LOOK_SECONDS = 1.0
"""How long it is trusted in which buckets tenants wait: who has none asks no more than that."""


class Turns:
    """Used by the flusher's thread alone."""

    def __init__(self, owner: UUID, link: Link) -> None:
        self._owner = owner
        self._link = link
        self._buckets: set[int] = set()
        self._look_at = 0.0

    def after(self, claim: DeliveryClaim, claimed: Sequence[ClaimedDelivery], last: str, most: int) -> ClaimTurn:
        """Return what to claim beside a claim that was full, from the tenant behind `last` on."""
        connection = self._link.connection
        if time.monotonic() >= self._look_at:
            self._buckets = turns.buckets_with_tenants(connection, self._owner)
            self._look_at = time.monotonic() + LOOK_SECONDS
        if claim.bucket not in self._buckets:
            return ClaimTurn([], "")
        return turns.deliveries_in_turn(connection, claim, claimed, last=last, limit=min(most, MOST_BESIDE))
