"""Cancelling: a flag on the task's row, which claims skip; what nobody holds goes to the archive as CANCELLED."""

from collections import defaultdict
from uuid import UUID

from .connection import Connection
from .statements import load


def cancelled_claims(connection: Connection, owner: UUID) -> set[int]:
    """Return the tasks that the owner has claimed and that are to be cancelled."""
    return {row[0] for row in connection.execute(load("cancelled_claims"), {"owner": owner})}


def archive_cancelled_tasks(connection: Connection, limit: int = 1000) -> list[str]:
    """Move tasks that are to be cancelled, and that nobody holds, to the archive; return their names."""
    names: list[str] = []
    with connection.transaction():
        by_bucket: dict[int, list[int]] = defaultdict(list)
        for id_, bucket, name, _ in connection.execute(load("cancelled_tasks"), {"limit": limit}):
            by_bucket[bucket].append(id_)
            names.append(name)
        for bucket, ids in by_bucket.items():
            connection.execute(load("archive_cancelled_tasks"), {"bucket": bucket, "ids": ids})
            connection.execute(load("delete_cancelled_tasks"), {"bucket": bucket, "ids": ids})
    return names
