"""Taking events out of the digests that they are not in yet, in the caller's transaction and for certain.

Under READ COMMITTED the locked rows are the latest committed ones, and nobody changes them until the caller's commit:
the owner of the bucket leaves what is locked for later. Under REPEATABLE READ and SERIALIZABLE PostgreSQL raises a
serialization failure where a row has changed since the transaction began, as it does for every UPDATE there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import EventState

from .bulk import write_connection
from .models import Event


class Locked(NamedTuple):
    """An event that nobody else can change until the transaction ends."""

    id: int
    bucket: int
    state: str
    batch_id: int | None

    @property
    def is_left_out(self) -> bool:
        """Whether it is in no digest already."""
        return self.state in (EventState.RETRACTED, EventState.FILTERED)


@contextmanager
def cursor_in_transaction() -> Iterator[CursorWrapper]:
    """Give a cursor inside the caller's transaction, or in one of its own where the caller has none."""
    connection = write_connection(Event)
    with transaction.atomic(using=connection.alias, savepoint=False), connection.cursor() as cursor:
        yield cursor


def lock_events(cursor: CursorWrapper, statement: str, **parameters: Any) -> list[Locked]:
    """Lock the events that one of the statements lock_... finds."""
    cursor.execute(load(statement), parameters)
    return list(map(Locked._make, cursor.fetchall()))


def still_open(cursor: CursorWrapper, events: Sequence[Locked]) -> list[Locked]:
    """Return those of the locked events that are in no message, and lock their batches: they cannot be sealed then."""
    # Events first, batches second. The owner takes them the other way round, but gives up after 50 ms, long before
    # PostgreSQL looks for deadlocks.
    batches = _asked(cursor, "hold_batches", [event for event in events if event.state == EventState.FOLDED])
    return [
        event
        for event in events
        if event.state == EventState.PENDING or (event.state == EventState.FOLDED and event.batch_id in batches)
    ]


def sent_batches(cursor: CursorWrapper, events: Sequence[Locked]) -> set[int]:
    """Return the batches of these events that a channel has taken, or may have."""
    return _asked(cursor, "sent_batches", events)


def columns(events: Sequence[Locked]) -> dict[str, list[int]]:
    """Return what finds the events again."""
    return {"buckets": [event.bucket for event in events], "ids": [event.id for event in events]}


def _asked(cursor: CursorWrapper, statement: str, events: Sequence[Locked]) -> set[int]:
    wanted: Mapping[int, int] = {event.batch_id: event.bucket for event in events if event.batch_id is not None}
    if not wanted:
        return set()
    cursor.execute(load(statement), {"ids": list(wanted), "buckets": list(wanted.values())})
    return {batch_id for (batch_id,) in cursor.fetchall()}
