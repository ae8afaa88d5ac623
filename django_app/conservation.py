"""The conservation law: each event is in exactly one of pending, open, sealed, retracted and filtered for a reason."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import BatchState, EventState

from .bulk import write_connection
from .models import Event


class Contradiction(NamedTuple):
    """Rows that cannot be, as long as the law holds: how many, and the first ten of their ids."""

    what: str
    amount: int
    ids: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservation:
    """Where all events are. Events of sealed batches are in a message, or their batch says why there is none."""

    pending: int
    open: int
    sealed: int
    retracted: int
    filtered: Mapping[str, int]
    """By the reason."""
    total: int
    contradictions: Sequence[Contradiction]

    @property
    def holds(self) -> bool:
        """Whether the law holds: every event is in one place, and no row contradicts another."""
        placed = self.pending + self.open + self.sealed + self.retracted + sum(self.filtered.values())
        return placed == self.total and not self.contradictions

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can say."""
        return {
            "holds": self.holds,
            "pending": self.pending,
            "open": self.open,
            "sealed": self.sealed,
            "retracted": self.retracted,
            "filtered": dict(self.filtered),
            "total": self.total,
            "contradictions": [contradiction._asdict() for contradiction in self.contradictions],
        }


def conservation() -> Conservation:
    """Count all events and look for every contradiction, as of one moment. It reads the whole tables.

    Within a transaction of the caller's that is not REPEATABLE READ the two are of two moments.
    """
    with _one_moment() as cursor:
        cursor.execute(load("conservation_counts"))
        rows: list[tuple[str, str, int]] = cursor.fetchall()
        cursor.execute(load("conservation_contradictions"))
        contradictions = list(map(Contradiction._make, cursor.fetchall()))
    at = {place: amount for place, reason, amount in rows if place != EventState.FILTERED}
    return Conservation(
        pending=at.get(EventState.PENDING, 0),
        open=at.get(BatchState.OPEN, 0),
        sealed=at.get(BatchState.SEALED, 0),
        retracted=at.get(EventState.RETRACTED, 0),
        filtered={reason: amount for place, reason, amount in rows if place == EventState.FILTERED},
        total=sum(amount for _, _, amount in rows),
        contradictions=contradictions,
    )


@contextmanager
def _one_moment() -> Iterator[CursorWrapper]:
    connection = write_connection(Event)
    is_outermost = not connection.in_atomic_block
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if is_outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor
