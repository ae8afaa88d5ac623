"""What is still to be done, read from the tables."""

from dataclasses import dataclass

from django.db import connection

from pgsupervise.django_app.models import Lease

# One statement, so one snapshot: nothing can be between two counts. Each count has a partial index of its own.
_LEFT = """
SELECT
    (SELECT count(*) FROM pgsupervise_event WHERE state = 'PENDING'),
    (SELECT count(*) FROM pgsupervise_batch WHERE state <> 'SEALED'),
    (SELECT coalesce(sum(item_count), 0) FROM pgsupervise_batch WHERE state <> 'SEALED'),
    (SELECT count(*) FROM pgsupervise_delivery WHERE state IN ('PENDING', 'SENDING'))
        + (SELECT count(*) FROM pgsupervise_delivery WHERE state IN ('WAITING', 'RETRYING'))
"""


@dataclass(frozen=True, slots=True)
class Left:
    """What is still to be done of the events that have been inserted."""

    pending: int
    batches: int
    batched: int
    """Events in those batches."""
    deliveries: int

    def __bool__(self) -> bool:
        return bool(self.pending or self.batches or self.deliveries)

    def __str__(self) -> str:
        return f"{self.pending} events to fold, {self.batches} batches to seal, {self.deliveries} digests to deliver"


def left() -> Left:
    """Return what is left."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT)
        return Left(*(int(count) for count in cursor.fetchone()))


def unowned() -> int:
    """Return how many buckets no worker owns yet."""
    return Lease.objects.filter(bucket__gte=0, owner=None).count()
