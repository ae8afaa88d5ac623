"""What ended processes left behind: made ready again, or buried when it has killed too many workers."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from .backoff import TASK_RETRY
from .connection import Connection
from .rows import ClaimedTask
from .statements import load
from .states import DeliveryState, TaskState
from .tasks import EndedTask, FailedTask, finish_tasks, retry_tasks

POISON_LIMIT = 3
"""A task that was running when this many workers died is DEAD: it is taken to be the cause."""

TIMEOUT, CANCELLED = "timeout", "cancelled"
"""Why a worker ended that its parent killed because of the task in it."""


@dataclass(frozen=True, slots=True)
class LostTask:
    """A task whose worker has ended; `was_running` tells it from its neighbours in the chunk."""

    id: int
    bucket: int
    claim_token: int
    name: str
    attempt: int
    max_attempts: int
    crashes: int
    was_running: bool
    reason: str

    @property
    def timed_out(self) -> bool:
        """Whether its worker was killed because of it: that is a failed attempt, not a crash."""
        return self.was_running and self.reason == TIMEOUT

    @property
    def cancelled(self) -> bool:
        """Whether its worker was killed because somebody wanted it to end."""
        return self.was_running and self.reason == CANCELLED

    @property
    def is_poison(self) -> bool:
        """Whether it has cost as many workers as a task may."""
        killed_for_it = self.timed_out or self.cancelled
        return self.was_running and not killed_for_it and self.crashes + 1 >= POISON_LIMIT

    @property
    def error(self) -> str:
        """The cause of death, as it is kept on the task."""
        if self.timed_out:
            return "killed: it ran longer than its hard timeout"
        return f"its worker ended: {self.reason}"

    def claimed(self) -> ClaimedTask:
        """Return it as its worker held it, without the arguments."""
        attempts = self.attempt, self.max_attempts, self.crashes
        return ClaimedTask(self.id, self.bucket, self.claim_token, self.name, "[]", "{}", *attempts, key="")


class UnknownWaits(NamedTuple):
    """How long messages wait that may or may not have gone out when their worker ended.

    Those that go again do so after `resend_after`, but at once where that is harmless. To those of `reconcile_policies`
    by `telling_channels` the provider has `grace` to tell that it took them.
    """

    resend_after: timedelta = timedelta(0)
    reconcile_policies: Sequence[str] = ()
    grace: timedelta = timedelta(0)
    telling_channels: Sequence[str] = ()


_AT_ONCE = UnknownWaits()


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """How much one pass brought back."""

    tasks: int = 0
    poisoned: int = 0
    timed_out: int = 0
    deliveries: int = 0
    unknown_deliveries: int = 0
    cancelled: int = 0
    ends: Sequence[tuple[LostTask, TaskState]] = field(default=(), compare=False)
    """Each task whose run nobody else could tell of, and its state now."""

    @property
    def claims(self) -> int:
        """How many tasks that are."""
        return self.tasks + self.poisoned + self.timed_out + self.cancelled


def reclaim(
    connection: Connection,
    *,
    safe_channels: Sequence[str],
    resend_policies: Sequence[str],
    waits: UnknownWaits = _AT_ONCE,
    most_copies: int = 3,
    dead_on_timeout: Collection[str] = (),
    limit: int = 1000,
) -> Reclaimed:
    """Reclaim up to `limit` tasks and deliveries each of ended processes, in one transaction.

    Messages of unknown fate go again by `safe_channels` and for `resend_policies`, `most_copies` times in all at most,
    and are UNKNOWN otherwise. `dead_on_timeout`: the tasks that are not tried again after a hard timeout. Safe to run
    by anyone, at any time and side by side: each row stays locked from the look at its owner until its fate is written,
    and is matched by (id, state, claim token), so the first of two reclaims, or a late finish, wins and the other one
    changes nothing.
    """
    with connection.transaction():
        lost = [LostTask(*row[:-1]) for row in connection.execute(load("lost_tasks"), {"limit": limit})]
        timed_out = [task for task in lost if task.timed_out]
        poisoned = [task for task in lost if task.is_poison]
        cancelled = [task for task in lost if task.cancelled]
        others = [task for task in lost if not task.timed_out and not task.is_poison and not task.cancelled]
        ready = _make_ready(connection, others)
        given_up = _by_bucket(poisoned, lambda bucket, tasks: _bury(connection, bucket, tasks))
        late = _by_bucket(timed_out, lambda bucket, tasks: _time_out(connection, bucket, tasks, dead_on_timeout))
        unwanted = _by_bucket(cancelled, lambda bucket, tasks: _end_cancelled(connection, bucket, tasks))
    deliveries = _reclaim_deliveries(connection, safe_channels, resend_policies, waits, most_copies, limit)
    ends = [
        *((task, TaskState.DEAD if _is_final(task, dead_on_timeout) else TaskState.SCHEDULED) for task in timed_out),
        *((task, TaskState.DEAD) for task in poisoned),
        *((task, TaskState.CANCELLED) for task in cancelled),
    ]
    return Reclaimed(ready, given_up, late, len(deliveries), deliveries.count(DeliveryState.UNKNOWN), unwanted, ends)


def _reclaim_deliveries(
    connection: Connection,
    safe_channels: Sequence[str],
    resend_policies: Sequence[str],
    waits: UnknownWaits,
    most_copies: int,
    limit: int,
) -> list[str]:
    parameters = {
        "safe_channels": list(safe_channels),
        "resend_policies": list(resend_policies),
        "resend_after": waits.resend_after.total_seconds(),
        "reconcile_policies": list(waits.reconcile_policies),
        "grace": waits.grace.total_seconds(),
        "telling_channels": list(waits.telling_channels),
        "most_copies": most_copies,
        "limit": limit,
    }
    return [state for _, state in connection.execute(load("reclaim_deliveries"), parameters)]


def _make_ready(connection: Connection, tasks: Sequence[LostTask]) -> int:
    parameters = {
        "ids": [t.id for t in tasks],
        "tokens": [t.claim_token for t in tasks],
        "crashes": [int(t.was_running) for t in tasks],
        "errors": [t.error for t in tasks],
    }
    return len(connection.execute(load("reclaim_tasks"), parameters).fetchall())


def _by_bucket(tasks: Iterable[LostTask], write: Callable[[int, list[LostTask]], int]) -> int:
    grouped = defaultdict(list)
    for task in tasks:
        grouped[task.bucket].append(task)
    return sum(write(bucket, found) for bucket, found in grouped.items())


def _bury(connection: Connection, bucket: int, tasks: Sequence[LostTask]) -> int:
    number = f"{POISON_LIMIT}rd"
    ended = [
        EndedTask(
            task.claimed(),
            TaskState.DEAD,
            error=f"{task.error}; that was the {number} worker in a row",
            crashes=1,
        )
        for task in tasks
    ]
    return len(finish_tasks(connection, bucket, ended))


def _end_cancelled(connection: Connection, bucket: int, tasks: Sequence[LostTask]) -> int:
    ended = [
        EndedTask(task.claimed(), TaskState.CANCELLED, error="cancelled while it ran", traceback="") for task in tasks
    ]
    return len(finish_tasks(connection, bucket, ended))


def _is_final(task: LostTask, dead_on_timeout: Collection[str]) -> bool:
    return task.attempt >= task.max_attempts or task.name in dead_on_timeout


def _time_out(connection: Connection, bucket: int, tasks: Sequence[LostTask], dead_on_timeout: Collection[str]) -> int:
    final = [task for task in tasks if _is_final(task, dead_on_timeout)]
    again = [task for task in tasks if task not in final]
    written: set[int] = set()
    if final:
        ended = [EndedTask(task.claimed(), TaskState.DEAD, error=task.error, traceback="") for task in final]
        written |= finish_tasks(connection, bucket, ended)
    if again:
        failed = [FailedTask(task.claimed(), TASK_RETRY.delay(task.attempt), task.error, "") for task in again]
        written |= retry_tasks(connection, bucket, failed)
    return len(written)
