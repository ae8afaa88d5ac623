"""How much waits in the tables and for how long: bounded reads for the exporter, on the database's clock only.

Every statement runs inside `limited()`, which bounds its time and keeps it on its index. Counts stop at `CAP` rows a
bucket, so that a backlog of many millions costs no more to look at than one of half a million.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from .buckets import partition_of
from .connection import Connection
from .statements import load

CAP = 2_000
DEAD_CAP = 100_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one partition; `age_seconds` is the oldest one's, zero when nothing is late."""

    amount: int = 0
    age_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LeaseCounts:
    """Who owns the 256 buckets, seen from one supervisor; `leads` when its keeper leads the cluster."""

    ours: int
    others: int
    unowned: int
    leads: bool


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """Processes of one kind and state; `beat_age_seconds` is the quietest one's."""

    kind: str
    state: str
    amount: int
    beat_age_seconds: float


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds something, and for how long: seconds of a transaction, transactions of an xmin."""

    name: str
    age: float


@contextmanager
def limited(connection: Connection, timeout_seconds: float) -> Iterator[None]:
    """Open a read-only transaction whose statements keep to their indexes and give up after `timeout_seconds`."""
    with connection.transaction():
        # Zero would mean no limit at all.
        connection.execute(load("gauge_limits"), {"timeout_ms": max(1, int(timeout_seconds * 1000))})
        yield


def ready_tasks(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the READY tasks of each partition."""
    return _by_partition(connection, "gauge_ready_tasks", partitions)


def scheduled_tasks(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the SCHEDULED tasks of each partition; the age is of one that is due and was not promoted."""
    return _by_partition(connection, "gauge_scheduled_tasks", partitions)


def in_progress_tasks(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the tasks IN PROGRESS of each partition; the age counts from the claim."""
    return _by_partition(connection, "gauge_in_progress_tasks", partitions)


def pending_events(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the events of each partition that have no batch yet."""
    return _by_partition(connection, "gauge_pending_events", partitions)


def open_batches(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the batches of each partition that are not sealed; they have no age, see `overdue_batches`."""
    return _by_partition(connection, "gauge_open_batches", partitions)


def overdue_batches(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the batches of each partition that should have been sealed by the event clock."""
    return _by_partition(connection, "gauge_overdue_batches", partitions)


def pending_deliveries(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the deliveries of each partition that may be sent now."""
    return _by_partition(connection, "gauge_pending_deliveries", partitions)


def waiting_deliveries(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the WAITING and RETRYING deliveries of each partition; the age is of one that is due and was not woken."""
    return _by_partition(connection, "gauge_waiting_deliveries", partitions)


def sending_deliveries(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the deliveries of each partition that are being sent; the age counts from the claim."""
    return _by_partition(connection, "gauge_sending_deliveries", partitions)


def unknown_deliveries(connection: Connection, partitions: int) -> list[Backlog]:
    """Return the deliveries of each partition of which nobody knows whether they were taken."""
    return _by_partition(connection, "gauge_unknown_deliveries", partitions)


def dead_tasks(connection: Connection) -> int:
    """Return how many DEAD tasks the archive holds, `DEAD_CAP` at most."""
    row = connection.execute(load("gauge_dead_tasks"), {"cap": DEAD_CAP}).fetchone()
    return int(row[0]) if row else 0


def paused_channels(connection: Connection) -> dict[str, bool]:
    """Return whether channels that have ever been paused are paused now, or on trial."""
    return dict(connection.execute(load("gauge_paused_channels"), {"cap": CAP}).fetchall())


def leases(connection: Connection, supervisor: UUID) -> LeaseCounts:
    """Return who owns the buckets, as `supervisor` sees it."""
    ((ours, others, unowned, leads),) = connection.execute(load("gauge_leases"), {"supervisor": supervisor}).fetchall()
    return LeaseCounts(ours, others, unowned, leads)


def workers(connection: Connection) -> list[WorkerCount]:
    """Return how many processes there are of each kind and state, anywhere in the cluster."""
    return [WorkerCount(*row) for row in connection.execute(load("gauge_workers"))]


def oldest_transaction(connection: Connection) -> Holder | None:
    """Return the transaction that has been open longest, None when there is no other than this."""
    row = connection.execute(load("gauge_oldest_transaction")).fetchone()
    return Holder(*row) if row else None


def oldest_xmin(connection: Connection) -> Holder | None:
    """Return what holds vacuum back most, in transactions; None when nothing does."""
    row = connection.execute(load("gauge_oldest_xmin")).fetchone()
    return Holder(*row) if row else None


def _by_partition(connection: Connection, statement: str, partitions: int) -> list[Backlog]:
    found = [Backlog()] * partitions
    for bucket, amount, age_seconds in connection.execute(load(statement), {"cap": CAP}):
        partition = partition_of(bucket, partitions)
        so_far = found[partition]
        # What is due in the future has a negative age: nothing is late.
        found[partition] = Backlog(so_far.amount + amount, max(so_far.age_seconds, age_seconds))
    return found
