"""Processes by their heartbeat rows, on the database's clock only."""

from datetime import timedelta
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
    """Declare a process dead whose end was seen; False when it already was."""
    parameters = {"id": worker, "reason": reason, "running_task": running_task}
    return connection.execute(load("bury_worker"), parameters).fetchone() is not None


def bury_silent_workers(connection: Connection, dead_after: timedelta) -> list[UUID]:
    """Declare every process dead that has not beaten for `dead_after`; return whom."""
    rows = connection.execute(load("bury_silent_workers"), {"dead_after": dead_after.total_seconds()})
    return [row[0] for row in rows]


def live_workers(connection: Connection, dead_after: timedelta) -> list[LiveWorker]:
    """Return the processes that run buckets, the oldest supervisor's first."""
    rows = connection.execute(load("live_workers"), {"dead_after": dead_after.total_seconds()})
    return [LiveWorker(*row) for row in rows]


def prune_workers(connection: Connection, keep: timedelta) -> int:
    """Delete the rows of processes that ended longer than `keep` ago; return how many."""
    return connection.execute(load("prune_workers"), {"keep": keep.total_seconds()}).rowcount
