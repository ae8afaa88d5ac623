"""Claiming and finishing tasks, a chunk of one bucket at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from .connection import Connection, database_time
from .rows import ClaimedTask
from .statements import load
from .states import TaskState

Watermark = tuple[int, int]
"""(priority, id) of the last task claimed from a bucket: a claim starts behind it."""

START: Watermark = (-32769, 0)
"""Below every priority: a claim from here sees the whole bucket."""


@dataclass(frozen=True, slots=True)
class TaskProbe:
    """A bucket with work: `ready` to claim now, `due` to be promoted first."""

    bucket: int
    ready: bool
    due: bool


@dataclass(frozen=True, slots=True)
class EndedTask:
    """A claimed task that is to leave the hot table; None keeps the error that it has."""

    task: ClaimedTask
    state: TaskState
    error: str | None = None
    traceback: str | None = None
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A claimed task that is to be tried again after `delay`."""

    task: ClaimedTask
    delay: timedelta
    error: str
    traceback: str


def probe_tasks(connection: Connection, owner: UUID, names: Sequence[str]) -> list[TaskProbe]:
    """Return the owner's buckets that have something to run, in order."""
    rows = connection.execute(load("probe_tasks"), {"owner": owner, "names": list(names)})
    return [TaskProbe(*row) for row in rows]


def promote_tasks(connection: Connection, bucket: int, limit: int = 1000) -> int:
    """Make scheduled tasks ready whose time has come; return how many."""
    return connection.execute(load("promote_tasks"), {"bucket": bucket, "limit": limit}).rowcount


def claim_tasks(
    connection: Connection, *, bucket: int, owner: UUID, epoch: int, names: Sequence[str], limit: int, after: Watermark
) -> tuple[list[ClaimedTask], Watermark]:
    """Claim up to `limit` ready tasks behind the watermark, in order; return them and the new watermark.

    Claims nothing when the bucket's lease is no longer held with this epoch.
    """
    rows = connection.execute(
        load("claim_tasks"),
        {
            "bucket": bucket,
            "owner": owner,
            "epoch": epoch,
            "names": list(names),
            "limit": limit,
            "after_priority": after[0],
            "after_id": after[1],
        },
    ).fetchall()
    # UPDATE ... RETURNING promises no order.
    rows.sort(key=lambda row: (row[-1], row[0]))
    reached = (rows[-1][-1], rows[-1][0]) if rows else after
    return [ClaimedTask(*row[:-1]) for row in rows], reached


def finish_tasks(connection: Connection, bucket: int, ended: Sequence[EndedTask]) -> set[int]:
    """Move tasks to the archive; return the ids that were moved. Runs in the caller's transaction."""
    rows = connection.execute(
        load("archive_tasks"),
        {
            "bucket": bucket,
            "ids": [e.task.id for e in ended],
            "tokens": [e.task.claim_token for e in ended],
            "states": [e.state for e in ended],
            "crashes": [e.crashes for e in ended],
            "errors": [e.error for e in ended],
            "tracebacks": [e.traceback for e in ended],
        },
    )
    moved = {row[0] for row in rows}
    copied = [e.task for e in ended if e.task.id in moved]
    parameters = {"bucket": bucket, "ids": [t.id for t in copied], "tokens": [t.claim_token for t in copied]}
    connection.execute(load("delete_archived_tasks"), parameters)
    return moved


def retry_tasks(connection: Connection, bucket: int, failed: Sequence[FailedTask]) -> set[int]:
    """Schedule failed tasks again; return the ids that were."""
    rows = connection.execute(
        load("retry_tasks"),
        {
            "bucket": bucket,
            "ids": [f.task.id for f in failed],
            "tokens": [f.task.claim_token for f in failed],
            "delays": [f.delay.total_seconds() for f in failed],
            "errors": [f.error for f in failed],
            "tracebacks": [f.traceback for f in failed],
        },
    )
    return {row[0] for row in rows}


def give_back_tasks(connection: Connection, bucket: int, tasks: Sequence[ClaimedTask]) -> set[int]:
    """Make claimed tasks ready again that were not started; return the ids that were."""
    rows = connection.execute(
        load("give_back_tasks"),
        {"bucket": bucket, "ids": [t.id for t in tasks], "tokens": [t.claim_token for t in tasks]},
    )
    return {row[0] for row in rows}


def held_tasks(connection: Connection, bucket: int, tasks: Sequence[ClaimedTask]) -> set[int]:
    """Return the ids that are still ours: what was not written of them is locked by somebody, the rest is stale."""
    parameters = {"bucket": bucket, "ids": [t.id for t in tasks], "tokens": [t.claim_token for t in tasks]}
    return {row[0] for row in connection.execute(load("held_tasks"), parameters)}


def release_unheld_tasks(connection: Connection, owner: UUID, held: Collection[int]) -> list[int]:
    """Make tasks ready that are claimed by the owner but not in its hands; call it between claims only."""
    before = database_time(connection)
    parameters = {"owner": owner, "held": list(held), "before": before}
    rows = connection.execute(load("release_unheld_tasks"), parameters)
    return [row[0] for row in rows]


def unknown_tasks(connection: Connection, owner: UUID, names: Sequence[str]) -> list[tuple[str, int]]:
    """Return names of ready tasks in the owner's buckets that are not among `names`, with a bounded count."""
    return [
        (name, count)
        for name, count in connection.execute(load("unknown_tasks"), {"owner": owner, "names": list(names)})
    ]
