"""Who owns which bucket. The primary key of the lease's row makes two owners impossible in the database itself."""

from collections.abc import Callable, Collection
from itertools import starmap
from typing import NamedTuple
from uuid import UUID

from .connection import Connection
from .statements import load

KEEPER_SEAT = -1
"""The lease that makes one keeper the leading one: a bucket that no key hashes to."""


class Lease(NamedTuple):
    """One bucket's row: `epoch` is the fencing token, raised at every acquisition and never reused."""

    bucket: int
    owner: UUID | None
    epoch: int


def acquire_leases(connection: Connection, owner: UUID, buckets: Collection[int]) -> dict[int, int]:
    """Take all of the buckets or none; return the epoch of each one taken."""
    rows = connection.execute(load("acquire_leases"), {"owner": owner, "buckets": sorted(buckets)})
    return dict(rows.fetchall())


def release_leases(connection: Connection, owner: UUID, buckets: Collection[int]) -> set[int]:
    """Give buckets back; return those that were still the owner's."""
    rows = connection.execute(load("release_leases"), {"owner": owner, "buckets": sorted(buckets)})
    return {row[0] for row in rows}


def free_leases_of_the_dead(connection: Connection) -> list[int]:
    """Free every bucket whose owner has stopped, was buried, or never was; return the buckets."""
    return [row[0] for row in connection.execute(load("free_leases_of_the_dead"))]


def all_leases(connection: Connection) -> list[Lease]:
    """Return the 256 buckets' leases."""
    return list(starmap(Lease, connection.execute(load("all_leases"), binary=True).fetchall()))


def hold_lease(connection: Connection, bucket: int, owner: UUID, epoch: int) -> bool:
    """Lock the lease until the transaction ends; False when it is no longer held with this epoch."""
    return ask_for_lease(connection, bucket, owner, epoch)()


def ask_for_lease(connection: Connection, bucket: int, owner: UUID, epoch: int) -> Callable[[], bool]:
    """Do as `hold_lease` does without waiting for the answer: what is returned waits for it, and says it once."""
    cursor = connection.execute(load("hold_lease"), {"bucket": bucket, "owner": owner, "epoch": epoch})
    return lambda: cursor.fetchone() is not None
