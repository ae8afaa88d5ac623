"""Claiming and finishing tasks, a chunk of one bucket at a time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import starmap
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from . import arrays
from .connection import Connection, Cursor, database_time
from .round_trips import sent_together
from .rows import ClaimedTask
from .statements import load
from .states import TaskState

Watermark = tuple[int, int]
"""(priority, id) of the last task claimed from a bucket: a claim starts behind it."""

START: Watermark = (-32769, 0)
"""Below every priority: a claim from here sees the whole bucket."""

_ORDER = attrgetter("priority", "id")


@dataclass(frozen=True, slots=True)
class TaskProbe:
    """A bucket with work: `ready` to claim now, `due` to be promoted first."""

    bucket: int
    ready: bool
    due: bool


class EndedTask(NamedTuple):
    """A claimed task that is to leave the hot table; None keeps the error that it has."""

    task: ClaimedTask
    state: TaskState
    error: str | None = None
    traceback: str | None = None
    crashes: int = 0


class FailedTask(NamedTuple):
    """A claimed task that is to be tried again after `delay`."""

    task: ClaimedTask
    delay: timedelta
    error: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What to claim: up to `limit` ready tasks of these names behind the watermark, while the lease has this epoch."""

    bucket: int
    owner: UUID
    epoch: int
    names: Sequence[str]
    limit: int
    after: Watermark


class Chunk(NamedTuple):
    """What was claimed, in order, and the new watermark."""

    tasks: list[ClaimedTask]
    reached: Watermark


def probe_tasks(connection: Connection, watermarks: Mapping[int, Watermark], names: Sequence[str]) -> list[TaskProbe]:
    """Return which of these buckets have something to run behind their watermarks."""
    parameters = {
        "buckets": arrays.numbers(watermarks),
        "after_priorities": arrays.numbers(priority for priority, _ in watermarks.values()),
        "after_ids": arrays.numbers(id_ for _, id_ in watermarks.values()),
        "names": list(names),
    }
    return [TaskProbe(*row) for row in connection.execute(load("probe_tasks"), parameters).fetchall()]


def seconds_to_next_task(connection: Connection, buckets: Iterable[int]) -> float | None:
    """Return when the next scheduled task of these buckets becomes due; None where there is none."""
    row = connection.execute(load("next_due_task"), {"buckets": arrays.numbers(buckets)}).fetchone()
    return None if row is None else row[0]


def promote_tasks(connection: Connection, bucket: int, limit: int = 1000) -> int:
    """Make scheduled tasks ready whose time has come; return how many."""
    return connection.execute(load("promote_tasks"), {"bucket": bucket, "limit": limit}).rowcount


def claim_tasks(connection: Connection, claim: Claim) -> Chunk:
    """Claim a chunk. Claims nothing when the bucket's lease is no longer held with this epoch."""
    return _chunk(_send_claim(connection, claim), claim)


def finish_tasks(connection: Connection, bucket: int, ended: Sequence[EndedTask]) -> set[int]:
    """Move tasks to the archive; return the ids that were moved. Runs in the caller's transaction.

    What somebody holds locked stays where it is.
    """
    locked = connection.execute(load("lock_tasks"), _held(bucket, [e.task for e in ended]))
    places: dict[int, str] = dict(locked.fetchall())
    # Not in a pipeline: psycopg ends it by a message that stops the server's watch on a silent transaction.
    free = [e for e in ended if e.task.id in places]
    moved = _send_ended(connection, bucket, free, [places[e.task.id] for e in free])
    return {row[0] for row in moved}


def settle_tasks(
    connection: Connection,
    bucket: int,
    ended: Sequence[EndedTask],
    failed: Sequence[FailedTask],
    claim: Claim | None = None,
) -> tuple[set[int], Chunk | None]:
    """Write down how tasks of one bucket ended and claim the next chunk: one transaction, one round trip.

    Returns the ids that were written, and the chunk. Raises psycopg.errors.LockNotAvailable, with nothing written and
    nothing claimed, when somebody holds one of the tasks that have ended locked. Not for use inside a transaction.
    """
    # A process that is stopped within these few microseconds keeps its rows locked for as long; nobody waits for them.
    with sent_together(connection):
        moved = _send_ended(connection, bucket, ended, [e.task.place for e in ended]) if ended else None
        again = _send_failed(connection, bucket, failed) if failed else None
        claimed = _send_claim(connection, claim) if claim else None
    written = {row[0] for cursor in (moved, again) if cursor for row in cursor.fetchall()}
    return written, _chunk(claimed, claim) if claimed and claim else None


def _send_ended(connection: Connection, bucket: int, ended: Sequence[EndedTask], places: Sequence[str]) -> Cursor:
    told = [e for e in ended if not _is_plainly_done(e)]
    if told:
        # Who is DONE needs no more than its id, token and place, at the end of the arrays: see archive_tasks.sql.
        pairs = sorted(zip(ended, places, strict=True), key=lambda pair: _is_plainly_done(pair[0]))
        ended, places = zip(*pairs, strict=True)
    held = _held(bucket, [e.task for e in ended]) | {"places": arrays.texts(places)}
    details = {
        "states": [e.state for e in told],
        "crashes": arrays.numbers(e.crashes for e in told),
        "errors": [e.error for e in told],
        "tracebacks": [e.traceback for e in told],
    }
    moved = connection.execute(load("archive_tasks"), held | details)
    connection.execute(load("delete_archived_tasks"), held)
    return moved


def _is_plainly_done(ended: EndedTask) -> bool:
    return ended.state is TaskState.DONE and ended.error is None and not ended.crashes


def _send_claim(connection: Connection, claim: Claim) -> Cursor:
    parameters = {
        "bucket": claim.bucket,
        "owner": claim.owner,
        "epoch": claim.epoch,
        "names": list(claim.names),
        "limit": claim.limit,
        "after_priority": claim.after[0],
        "after_id": claim.after[1],
    }
    return connection.execute(load("claim_tasks"), parameters)


def _chunk(cursor: Cursor, claim: Claim) -> Chunk:
    claimed = list(starmap(ClaimedTask, cursor.fetchall()))
    # UPDATE ... RETURNING promises no order.
    claimed.sort(key=_ORDER)
    reached = (claimed[-1].priority, claimed[-1].id) if claimed else claim.after
    return Chunk(claimed, reached)


def retry_tasks(connection: Connection, bucket: int, failed: Sequence[FailedTask]) -> set[int]:
    """Schedule failed tasks again; return the ids that were."""
    return {row[0] for row in _send_failed(connection, bucket, failed)}


def _send_failed(connection: Connection, bucket: int, failed: Sequence[FailedTask]) -> Cursor:
    details = {
        "delays": [f.delay.total_seconds() for f in failed],
        "errors": [f.error for f in failed],
        "tracebacks": [f.traceback for f in failed],
    }
    return connection.execute(load("retry_tasks"), _held(bucket, [f.task for f in failed]) | details)


def give_back_tasks(connection: Connection, bucket: int, tasks: Sequence[ClaimedTask]) -> set[int]:
    """Make claimed tasks ready again that were not started; return the ids that were."""
    return {row[0] for row in connection.execute(load("give_back_tasks"), _held(bucket, tasks))}


def held_tasks(connection: Connection, bucket: int, tasks: Sequence[ClaimedTask]) -> set[int]:
    """Return the ids that are still ours: what was not written of them is locked by somebody, the rest is stale."""
    return {row[0] for row in connection.execute(load("held_tasks"), _held(bucket, tasks))}


def _held(bucket: int, tasks: Sequence[ClaimedTask]) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "ids": arrays.numbers([t.id for t in tasks]),
        "tokens": arrays.numbers([t.claim_token for t in tasks]),
    }


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
