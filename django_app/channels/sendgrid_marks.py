"""What a message carries to SendGrid and back with each of its events: whose attempt at which delivery it is.

SendGrid keeps these for good and shows them to its staff (its documentation of `custom_args`), so they are opaque: two
numbers of ours, the bucket by which the row is found, and the installation's id.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pgsupervise.partitions.buckets import BUCKETS
from pgsupervise.partitions.rows import ClaimedDelivery

DELIVERY, ATTEMPT, BUCKET, INSTALLATION = "pgs_delivery", "pgs_attempt", "pgs_bucket", "pgs_installation"
LARGEST_ID, MOST_ATTEMPTS = 2**63 - 1, 2**31 - 1


class Marks(NamedTuple):
    """Which attempt an event is about."""

    delivery_id: int
    attempt: int
    bucket: int


def custom_args(delivery: ClaimedDelivery, installation: str) -> dict[str, str]:
    """Return the `custom_args` of a delivery's personalization."""
    return {
        DELIVERY: str(delivery.id),
        ATTEMPT: str(delivery.attempt),
        BUCKET: str(delivery.bucket),
        INSTALLATION: installation,
    }


def marks_of(event: Mapping[str, Any], installations: tuple[str, ...]) -> Marks | None:
    """Return which attempt an event is about; None where it is of another installation, or of no attempt of ours."""
    if event.get(INSTALLATION) not in installations:
        return None
    numbers = [_number(event.get(name), most) for name, most in _MOST.items()]
    return None if None in numbers else Marks._make(numbers)


def _number(value: object, most: int) -> int | None:
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()) or len(value) > len(str(most)):
        return None
    return int(value) if int(value) <= most else None


_MOST = {DELIVERY: LARGEST_ID, ATTEMPT: MOST_ATTEMPTS, BUCKET: BUCKETS - 1}
