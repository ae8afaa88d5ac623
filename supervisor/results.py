"""What has run and is not written down yet."""

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pgsupervise.metrics import recorder
from pgsupervise.metrics.instruments import TaskEnd
from pgsupervise.partitions import tasks
from pgsupervise.partitions.backoff import TASK_RETRY
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.partitions.states import TaskState

from .outcomes import Done, Failed, TaskOutcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """A run and how it ended."""

    task: ClaimedTask
    outcome: TaskOutcome
    seconds: float

    @property
    def label(self) -> TaskEnd:
        """How the run ended, as metrics spell it."""
        match self.outcome:
            case Done():
                return "done"
            case Failed():
                return "dead" if self.task.attempt >= self.task.max_attempts else "retried"


class Results:
    """Filled by the main loop and written by it; by the beat instead where the main loop will not live to do it."""

    def __init__(self) -> None:
        self._by_bucket: dict[int, list[Result]] = defaultdict(list)
        # Held while writing: what two threads wrote would look like a stale write of one of them.
        self._lock = threading.Lock()

    def add(self, result: Result) -> None:
        """Keep a result until it is written."""
        with self._lock:
            self._by_bucket[result.task.bucket].append(result)

    def __bool__(self) -> bool:
        return bool(self._by_bucket)

    def write(self, connection: Connection, patience_seconds: float = -1) -> None:
        """Write everything down, fenced by the claim tokens. What could not be written is kept, so what is locked.

        Gives up, having written nothing, when another thread has been at it for `patience_seconds`.
        """
        if not self._by_bucket or not self._lock.acquire(timeout=patience_seconds):
            return
        try:
            for bucket in list(self._by_bucket):
                results = self._by_bucket[bucket]
                with connection.transaction():
                    written = _write(connection, bucket, results)
                kept = _locked(connection, bucket, [result for result in results if result.task.id not in written])
                _tell(bucket, [result for result in results if result not in kept], written)
                if kept:
                    self._by_bucket[bucket] = kept
                else:
                    del self._by_bucket[bucket]
        finally:
            self._lock.release()


def _write(connection: Connection, bucket: int, results: Sequence[Result]) -> set[int]:
    ended: list[tasks.EndedTask] = []
    failed: list[tasks.FailedTask] = []
    for result in results:
        match result.outcome:
            case Done():
                ended.append(tasks.EndedTask(result.task, TaskState.DONE))
            case Failed(error, traceback) if result.task.attempt >= result.task.max_attempts:
                ended.append(tasks.EndedTask(result.task, TaskState.DEAD, error, traceback))
            case Failed(error, traceback):
                delay = TASK_RETRY.delay(result.task.attempt)
                failed.append(tasks.FailedTask(result.task, delay, error, traceback))
    written: set[int] = set()
    if ended:
        written |= tasks.finish_tasks(connection, bucket, ended)
    if failed:
        written |= tasks.retry_tasks(connection, bucket, failed)
    return written


def _locked(connection: Connection, bucket: int, unwritten: Sequence[Result]) -> list[Result]:
    if not unwritten:
        return []
    held = tasks.held_tasks(connection, bucket, [result.task for result in unwritten])
    return [result for result in unwritten if result.task.id in held]


def _tell(bucket: int, results: Sequence[Result], written: set[int]) -> None:
    ours = [result for result in results if result.task.id in written]
    _tell_failures(ours)
    _count(ours)
    if len(ours) < len(results):
        # Reclaimed meanwhile, or our COMMIT succeeded and its reply was lost: either way not ours any more.
        recorder.stale_writes("finish", len(results) - len(ours))
        stale = [result.task.id for result in results if result.task.id not in written]
        logger.warning("stale results dropped", extra={"fields": {"bucket": bucket, "tasks": stale[:20]}})


def _tell_failures(results: Sequence[Result]) -> None:
    for result in results:
        if isinstance(result.outcome, Failed):
            task, dead = result.task, result.label == "dead"
            fields = {"task": task.name, "id": task.id, "attempt": task.attempt, "of": task.max_attempts}
            fields["error"] = result.outcome.error
            event = "task dead" if dead else "task failed: it is tried again"
            logger.log(logging.ERROR if dead else logging.WARNING, event, extra={"fields": fields})


def _count(results: Sequence[Result]) -> None:
    durations: dict[tuple[str, TaskEnd], list[float]] = defaultdict(list)
    for result in results:
        durations[result.task.name, result.label].append(result.seconds)
    for (name, label), seconds in durations.items():
        recorder.tasks_finished(name, label, seconds)
