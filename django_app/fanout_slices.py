"""A run's slices: the next followers, and their events in one transaction with the run's new place."""

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F

from pgsupervise.partitions import arrays
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.statements import load

from .bulk import write_connection
from .followers import Rows, readable
from .models import Event, FanOut, FanOutState
from .models.fields import TransactionNow
from .texts import check_text, shorten

MAX_RECIPIENT = 320


class Slice(NamedTuple):
    """Some followers in the order of their rows; `place` is where the next slice begins."""

    recipients: list[str]
    left_out: int
    place: str
    is_last: bool


def read_slice(rows: Rows, field: str, after: str, limit: int) -> Slice:
    """Read up to `limit` followers behind the primary key `after`, which is empty for the first ones.

    Raises TypeError or ValueError where the queryset cannot be read in slices, with the cure.
    """
    pairs = readable(rows, field)
    if after:
        pairs = pairs.filter(pk__gt=rows.model._meta.pk.to_python(after))
    found: list[tuple[Any, Any]] = list(pairs[: limit + 1])
    for (pk, one), (next_pk, other) in pairwise(found):
        # The place is a primary key: where slices meet, the other recipients of the same row would be passed over.
        if pk == next_pk and one != other:
            raise ValueError(
                f"{rows.model._meta.label} {pk} has several recipients by {field!r}, such as {shorten(one)} and "
                f"{shorten(other)}: give a queryset of the followers' own model, with one recipient a row"
            )
    part = found[:limit]
    recipients = list(_usable(value for _, value in part))
    place = str(part[-1][0]) if part else after
    return Slice(recipients, len(part) - len(recipients), place, is_last=len(found) <= limit)


def _usable(values: Iterable[object]) -> Iterable[str]:
    """Yield those that can be recipients: one bad row keeps nobody else from being told."""
    for value in values:
        recipient = "" if value is None else str(value)
        try:
            check_text(recipient, "recipient", MAX_RECIPIENT, required=True)
        except ValueError:
            continue
        yield recipient


def write_slice(run: FanOut, part: Slice, *, links: int = 0) -> bool:
    """Write the events of a slice and move the run behind it, in one transaction.

    False where the run has moved on since it was read: then nothing is written. `links` tasks follow this one.
    """
    row = FanOut.objects.filter(bucket=run.bucket, id=run.pk)
    with transaction.atomic(using=write_connection(FanOut).alias):
        # Whoever holds the same slice waits here, and then finds that it is no longer the next one.
        still = row.select_for_update().filter(slices=run.slices, state=FanOutState.RUNNING)
        if not list(still.values_list("id", flat=True)):
            return False
        told = _insert_events(run, part.recipients)
        run.slices, run.place, run.link = run.slices + 1, part.place, run.link + links
        run.state = FanOutState.DONE if part.is_last else FanOutState.RUNNING
        row.update(
            slices=run.slices,
            place=run.place,
            link=run.link,
            state=run.state,
            told=F("told") + told,
            left_out=F("left_out") + part.left_out + len(part.recipients) - told,
            finished_at=TransactionNow() if part.is_last else None,
            error="",
        )
    return True


def _insert_events(run: FanOut, recipients: list[str]) -> int:
    """Return how many were new."""
    if not recipients:
        return 0
    with write_connection(Event).cursor() as cursor:
        cursor.execute(
            load("write_fan_out"),
            {
                "bucket": run.bucket,
                "id": run.pk,
                "buckets": arrays.numbers(map(bucket_of, recipients)),
                "recipients": arrays.texts(recipients),
                "idempotency_key": event_key(run),
            },
        )
        written: int = cursor.rowcount
    return written


def event_key(run: FanOut) -> str:
    """Return the idempotency key of the run's events: with the recipient, whom it tells once."""
    return hashlib.sha256(f"pgsupervise fan-out {run.pk}".encode()).hexdigest()
