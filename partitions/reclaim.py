"""What ended processes left behind: made ready again, or buried when it has killed too many workers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .connection import Connection
from .rows import ClaimedTask
from .statements import load
from .states import DeliveryState, TaskState
from .tasks import EndedTask, finish_tasks

POISON_LIMIT = 3
"""A task that was running when this many workers died is DEAD: it is taken to be the cause."""


@dataclass(frozen=True, slots=True)
class LostTask:
    """A task whose worker has ended; `was_running` tells it from its neighbours in the chunk."""

    id: int
    bucket: int
    claim_token: int
    crashes: int
    was_running: bool
    reason: str

    @property
    def error(self) -> str:
        """The cause of death, as it is kept on the task."""
        return f"its worker ended: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """How much one pass brought back."""

    tasks: int = 0
    poisoned: int = 0
    deliveries: int = 0
    unknown_deliveries: int = 0


def reclaim(
    connection: Connection, *, safe_channels: Sequence[str], resend_policies: Sequence[str], limit: int = 1000
) -> Reclaimed:
    """Reclaim a bounded number of tasks and all deliveries of ended processes.

    Safe to run by anyone, at any time and side by side: each row is matched by (id, state, claim token), so the
    first of two reclaims, or a late finish, wins and the other one changes nothing.
    """
    lost = [LostTask(*row) for row in connection.execute(load("lost_tasks"), {"limit": limit})]
    poisoned = [task for task in lost if task.was_running and task.crashes + 1 >= POISON_LIMIT]
    others = [task for task in lost if task not in poisoned]
    buried = sum(_bury(connection, bucket, tasks) for bucket, tasks in _by_bucket(poisoned).items())
    rows = connection.execute(
        load("reclaim_tasks"),
        {
            "ids": [t.id for t in others],
            "tokens": [t.claim_token for t in others],
            "crashes": [int(t.was_running) for t in others],
            "errors": [t.error for t in others],
        },
    ).fetchall()
    deliveries = connection.execute(
        load("reclaim_deliveries"), {"safe_channels": list(safe_channels), "resend_policies": list(resend_policies)}
    ).fetchall()
    unknown = sum(1 for _, state in deliveries if state == DeliveryState.UNKNOWN)
    return Reclaimed(len(rows), buried, len(deliveries), unknown)


def _by_bucket(tasks: Sequence[LostTask]) -> dict[int, list[LostTask]]:
    grouped = defaultdict(list)
    for task in tasks:
        grouped[task.bucket].append(task)
    return grouped


def _bury(connection: Connection, bucket: int, tasks: Sequence[LostTask]) -> int:
    ended = [
        EndedTask(
            ClaimedTask(task.id, bucket, task.claim_token, "", "[]", "{}", 0, 0, task.crashes, ""),
            TaskState.DEAD,
            error=f"{task.error}; that was the {POISON_LIMIT}rd worker in a row",
            crashes=1,
        )
        for task in tasks
    ]
    with connection.transaction():
        return len(finish_tasks(connection, bucket, ended))
