"""Workers, leases and tasks straight through `partitions`, for the tests of its statements."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from pgsupervise.partitions import leases, tasks, workers
from pgsupervise.partitions.rows import ClaimedTask

DEAD_AFTER = timedelta(seconds=10)


def worker(connection: psycopg.Connection, **changes: Any) -> UUID:
    """Register a live worker."""
    identity = uuid4()
    fields = {
        "id": identity,
        "supervisor": uuid4(),
        "kind": "worker",
        "slot": 0,
        "host": "here",
        "pid": 1,
        "partitions": 8,
        "processes": 8,
        "dead_after": DEAD_AFTER.total_seconds(),
    }
    workers.register_worker(connection, **{**fields, **changes})
    return identity


def owner_of(connection: psycopg.Connection, *buckets: int) -> tuple[UUID, dict[int, int]]:
    """Register a worker that owns the buckets; return it with their epochs."""
    identity = worker(connection)
    epochs = leases.acquire_leases(connection, identity, buckets)
    assert set(epochs) == set(buckets)
    return identity, epochs


def add_task(connection: psycopg.Connection, bucket: int, name: str = "t", **columns: Any) -> int:
    """Insert a task without a key and return its id."""
    fields = {"bucket": bucket, "name": name, "args": Jsonb([]), "state": "READY", **columns}
    names = ", ".join(fields)
    marks = ", ".join(f"%({field})s" for field in fields)
    statement = f"INSERT INTO pgsupervise_task ({names}) VALUES ({marks}) RETURNING id"  # noqa: S608 - the test's names
    row = connection.execute(statement.encode(), fields).fetchone()
    assert row
    number: int = row[0]
    return number


def claim(
    connection: psycopg.Connection, owner: UUID, epoch: int, bucket: int = 0, limit: int = 100, name: str = "t"
) -> list[ClaimedTask]:
    """Claim from the start of a bucket."""
    claimed, _ = tasks.claim_tasks(
        connection, tasks.Claim(bucket=bucket, owner=owner, epoch=epoch, names=[name], limit=limit, after=tasks.START)
    )
    return claimed


def age_beat(connection: psycopg.Connection, identity: UUID, seconds: float = 60) -> None:
    """Make a worker's last beat older."""
    connection.execute(
        "UPDATE pgsupervise_worker SET beat_at = beat_at - make_interval(secs => %s) WHERE id = %s", [seconds, identity]
    )


def one(connection: psycopg.Connection, statement: str, *parameters: Any) -> Any:
    """Return the first row of a statement, or its only column."""
    row = connection.execute(statement.encode(), parameters).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row
