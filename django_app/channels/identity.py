"""What a delivery is called in the world, the same each time it is sent."""

import hashlib

from pgsupervise.partitions.rows import ClaimedDelivery


def identity_of(delivery: ClaimedDelivery) -> str:
    """Return a name that no other delivery has, not even another database's of the same id, and that tells nothing."""
    known = f"{delivery.id} {delivery.bucket} {delivery.batch_id} {delivery.created_at.timestamp()}"
    return f"digest.{delivery.id}.{hashlib.sha256(known.encode()).hexdigest()[:20]}"
