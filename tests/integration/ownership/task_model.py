"""The model of tasks: the live ones, the archive, and what each statement does to them."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from pgsupervise.partitions.reclaim import POISON_LIMIT
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.partitions.states import TaskState
from pgsupervise.partitions.tasks import Watermark
from tests.integration.ownership.cluster_model import Cluster, Process


@dataclass(eq=False)
class LiveTask:
    """A row of the hot table."""

    id: int
    bucket: int
    priority: int
    crashes: int
    state: TaskState = TaskState.READY
    due: bool = True
    token: int = 0
    claimer: Process | None = None
    attempt: int = 0
    error: str = ""

    @property
    def place(self) -> Watermark:
        """Where it stands in its bucket's queue."""
        return self.priority, self.id

    def row(self) -> tuple[object, ...]:
        """Return what the table shows."""
        claimer = self.claimer.id if self.claimer else None
        return self.id, self.bucket, self.state.value, self.token, claimer, self.attempt, self.crashes, self.error

    def leave(self, state: TaskState) -> None:
        """End the claim."""
        self.state, self.claimer = state, None

    def give_back(self) -> None:
        """End the claim as if it had not been: no attempt is burnt, and the token rises."""
        self.leave(TaskState.READY)
        self.attempt -= 1
        self.token += 1


@dataclass(frozen=True, eq=False, repr=False)
class Claim:
    """What a process got in hand once; `task` is what it would write with, at any later time."""

    by: Process
    task: ClaimedTask

    def __repr__(self) -> str:
        return f"claim of {self.task.id} with token {self.task.claim_token} by {self.by}"


class TaskBook:
    """The tasks of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.live: dict[int, LiveTask] = {}
        self.archive: dict[int, tuple[str, int, int, str, UUID | None]] = {}
        """State, attempt, crashes, error and worker of those that have ended."""

    def in_progress(self) -> list[LiveTask]:
        """Return what is claimed."""
        return [task for task in self.live.values() if task.state is TaskState.IN_PROGRESS]

    def claim(self, process: Process, bucket: int, epoch: int, limit: int, after: Watermark) -> list[LiveTask]:
        """Claim the first tasks behind a watermark, if the fence lets the process pass."""
        if not self._cluster.holds(process, bucket, epoch):
            return []
        ready = [task for task in self.live.values() if task.bucket == bucket and task.state is TaskState.READY]
        chunk = sorted((task for task in ready if task.place > after), key=lambda task: task.place)[:limit]
        for task in chunk:
            task.state, task.claimer = TaskState.IN_PROGRESS, process
            task.token += 1
            task.attempt += 1
        return chunk

    def rightful(self, claims: Iterable[Claim]) -> list[LiveTask]:
        """Return the tasks whose claim these still are."""
        found = [(self.live.get(claim.task.id), claim.task.claim_token) for claim in claims]
        return [task for task, token in found if task and task.state is TaskState.IN_PROGRESS and task.token == token]

    def end(self, claims: Collection[Claim], state: TaskState, error: str | None) -> set[int]:
        """Move tasks to the archive."""
        ended = self.rightful(claims)
        for task in ended:
            self._archive(task, state, task.error if error is None else error)
        return {task.id for task in ended}

    def _archive(self, task: LiveTask, state: TaskState, error: str) -> None:
        claimer = task.claimer.id if task.claimer else None
        del self.live[task.id]
        self.archive[task.id] = (state.value, task.attempt, task.crashes, error, claimer)

    def retry(self, claims: Collection[Claim], due: bool, error: str) -> set[int]:
        """Schedule failed tasks: the attempt stays burnt."""
        failed = self.rightful(claims)
        for task in failed:
            task.leave(TaskState.SCHEDULED)
            task.due, task.error = due, error
        return {task.id for task in failed}

    def promote(self, bucket: int) -> int:
        """Make those ready whose time has come."""
        scheduled = (task for task in self.live.values() if task.state is TaskState.SCHEDULED)
        due = [task for task in scheduled if task.bucket == bucket and task.due]
        for task in due:
            task.state = TaskState.READY
        return len(due)

    def give_back(self, claims: Collection[Claim]) -> set[int]:
        """Make tasks ready that were not started."""
        return self._give_back(self.rightful(claims))

    def release_unheld(self, process: Process) -> set[int]:
        """Make tasks ready that the process has claimed and does not know of."""
        return self._give_back(self._claimed(lambda task: task.claimer is process and task.id not in process.in_hand))

    def reclaim(self) -> tuple[int, int]:
        """Take back what the ended hold; return how many are ready again, and how many are DEAD of it."""
        lost = self._claimed(lambda task: task.claimer is not None and not task.claimer.live)
        poisoned = 0
        for task in lost:
            claimer = task.claimer
            assert claimer
            killed = claimer.running == task.id and not claimer.pruned
            error = f"its worker ended: {'unknown' if claimer.pruned else claimer.reason}"
            task.crashes += killed
            if killed and task.crashes >= POISON_LIMIT:
                poisoned += 1
                self._archive(task, TaskState.DEAD, f"{error}; that was the {POISON_LIMIT}rd worker in a row")
            else:
                task.give_back()
                task.error = error if killed else task.error
        return len(lost) - poisoned, poisoned

    def _claimed(self, matches: Callable[[LiveTask], bool]) -> list[LiveTask]:
        return [task for task in self.in_progress() if matches(task)]

    def _give_back(self, found: list[LiveTask]) -> set[int]:
        for task in found:
            task.give_back()
        return {task.id for task in found}
