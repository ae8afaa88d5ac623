"""Nowhere: accepts every message at once. For measurements, and for policies that are switched off."""

from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, SendOutcome


class NullChannel:
    """Sends nothing. It is hardly ever asked to: the seal accepts a delivery to nowhere."""

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Accept the message."""
        return Accepted()
