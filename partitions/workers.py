"""Processes by their heartbeat rows, on the database's clock only."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from .connection import Connection
from .rows import LiveWorker
from .statements import load
from .states import WorkerState


def register_worker(connection: Connection, **identity: Any) -> None:
    """Insert the row of a process that has just booted; see `sql/register_worker.sql` for the fields."""
    connection.execute(load("register_worker"), identity)


def beat(connection: Connection, worker: UUID, *, draining: bool, running_task: int | None) -> bool:
    """Show a sign of life. False means that others have buried this process: it owns nothing any more."""
    state = WorkerState.DRAINING if draining else WorkerState.ACTIVE
    row = connection.execute(load("beat"), {"id": worker, "state": state, "running_task": running_task}).fetchone()
    return row is not None


def stop_worker(connection: Connection, worker: UUID, reason: str) -> None:
    """Take leave: the row says STOPPED, and nobody waits for another beat."""
    connection.execute(load("stop_worker"), {"id": worker, "reason": reason})


def bury_worker(connection: Connection, worker: UUID, reason: str, running_task: int | None) -> bool:
    """Declare a process dead whose end was seen; False when it already was, or when its row is locked by somebody."""
    parameters = {"id": worker, "reason": reason, "running_task": running_task}
    return connection.execute(load("bury_worker"), parameters).fetchone() is not None


def living_workers(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Return which of these processes are not known to have ended."""
    return {row[0] for row in connection.execute(load("living_workers"), {"ids": list(ids)})}


def silent_workers(connection: Connection) -> dict[UUID, datetime]:
    """Return the processes that have been silent for their time-to-dead, each with its last beat.

    Right after the database itself stood still that is everybody: see `bury_silent_workers`.
    """
    return dict(connection.execute(load("silent_workers")).fetchall())


def bury_silent_workers(connection: Connection, seen: Mapping[UUID, datetime]) -> list[UUID]:
    """Declare those dead that have not beaten since they were seen silent with that last beat; return whom."""
    parameters = {"ids": list(seen), "beats": list(seen.values())}
    return [row[0] for row in connection.execute(load("bury_silent_workers"), parameters)]


def live_workers(connection: Connection) -> list[LiveWorker]:
    """Return the processes that run buckets, the oldest supervisor's first."""
    rows = connection.execute(load("live_workers"))
    return [LiveWorker(*row) for row in rows]


def prune_workers(connection: Connection, keep: timedelta) -> int:
    """Delete the rows of processes that ended longer than `keep` ago; return how many."""
    return connection.execute(load("prune_workers"), {"keep": keep.total_seconds()}).rowcount
