"""What has run and is not written down yet."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import psycopg

from pgsupervise.metrics import recorder
from pgsupervise.metrics.instruments import TaskEnd
from pgsupervise.partitions import tasks
from pgsupervise.partitions.backoff import TASK_RETRY
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.partitions.states import TaskState

from .outcomes import Done, Failed, TaskOutcome

logger = logging.getLogger(__name__)
NEVER = float("inf")
LOCKED_SECONDS = 0.5
"""What somebody holds locked is not late before."""


class Result(NamedTuple):
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
    """Filled by the main loop and written by it; by another thread instead where the main loop cannot do it in time."""

    def __init__(self) -> None:
        self._by_bucket: dict[int, list[Result]] = {}
        # Two locks: the main loop must not wait, to add one, for somebody who waits for the database.
        self._adding = threading.Lock()
        # What two threads wrote would look like a stale write of one of them.
        self._writing = threading.Lock()
        self._being_written: list[Result] = []
        self.since = NEVER
        """When the oldest one was added that is not being written (time.monotonic)."""
        self.has_scheduled = False
        """Whether a task was scheduled to be tried again; whoever looks for what is due takes note, and clears it."""

    def add(self, result: Result, now: float) -> None:
        """Keep a result until it is written; `now` is time.monotonic()."""
        with self._adding:
            self._by_bucket.setdefault(result.task.bucket, []).append(result)
            if now < self.since:
                self.since = now

    def __bool__(self) -> bool:
        return bool(self._by_bucket) or self._writing.locked()

    def held(self) -> list[int]:
        """Return the tasks whose results are kept, or are being written right now."""
        with self._adding:
            kept = [*self._by_bucket.values(), self._being_written]
            return [result.task.id for results in kept for result in results]

    def write(self, connection: Connection, patience_seconds: float = -1) -> None:
        """Write everything down, fenced by the claim tokens. What could not be written is kept, so what is locked.

        Gives up, having written nothing, when another thread has been at it for `patience_seconds`.
        """
        if not self or not self._writing.acquire(timeout=patience_seconds):
            return
        try:
            for bucket in list(self._by_bucket):
                self._write(connection, bucket)
        finally:
            self._writing.release()

    def write_and_claim(self, connection: Connection, claim: tasks.Claim) -> tasks.Chunk:
        """Write everything down and claim a chunk: one round trip where all results are of one bucket."""
        if not self:
            return tasks.claim_tasks(connection, claim)
        with self._writing:
            *others, last = list(self._by_bucket) or [claim.bucket]
            for bucket in others:
                self._write(connection, bucket)
            chunk = self._write(connection, last, claim)
            return chunk or tasks.claim_tasks(connection, claim)

    def _write(self, connection: Connection, bucket: int, claim: tasks.Claim | None = None) -> tasks.Chunk | None:
        """Write a bucket's results, and claim where nobody is in the way."""
        chunk: tasks.Chunk | None = None
        with self._taken(bucket) as results:
            ended, failed = _decide(results)
            self.has_scheduled = self.has_scheduled or bool(failed)
            written: set[int] = set()
            with suppress(psycopg.errors.LockNotAvailable):
                written, chunk = tasks.settle_tasks(connection, bucket, ended, failed, claim)
            if len(written) < len(results):
                written |= _write_one_by_one(connection, bucket, ended, failed, written)
            kept = _locked(connection, bucket, results, written)
        self._keep(bucket, kept, time.monotonic() + LOCKED_SECONDS)
        _tell(bucket, [result for result in results if result not in kept] if kept else results, written)
        return chunk

    @contextmanager
    def _taken(self, bucket: int) -> Iterator[list[Result]]:
        """Take a bucket's results out, and put them back where writing fails."""
        with self._adding:
            results = self._being_written = self._by_bucket.pop(bucket, [])
            if not self._by_bucket:
                self.since = NEVER
        try:
            yield results
        except BaseException:
            self._keep(bucket, results, time.monotonic())
            raise

    def _keep(self, bucket: int, results: list[Result], since: float) -> None:
        with self._adding:
            self._being_written = []
            if results:
                self._by_bucket[bucket] = results + self._by_bucket.get(bucket, [])
                self.since = min(self.since, since)


def _decide(results: Sequence[Result]) -> tuple[list[tasks.EndedTask], list[tasks.FailedTask]]:
    ended: list[tasks.EndedTask] = []
    failed: list[tasks.FailedTask] = []
    for task, outcome, _ in results:
        match outcome:
            case Done():
                ended.append(tasks.EndedTask(task, TaskState.DONE))
            case Failed(error, traceback) if task.attempt >= task.max_attempts:
                ended.append(tasks.EndedTask(task, TaskState.DEAD, error, traceback))
            case Failed(error, traceback):
                failed.append(tasks.FailedTask(task, TASK_RETRY.delay(task.attempt), error, traceback))
    return ended, failed


def _write_one_by_one(
    connection: Connection,
    bucket: int,
    ended: Sequence[tasks.EndedTask],
    failed: Sequence[tasks.FailedTask],
    written: Collection[int],
) -> set[int]:
    """Write what could not be written at once, as somebody holds or has changed one of them; return their ids."""
    ended = [one for one in ended if one.task.id not in written]
    failed = [one for one in failed if one.task.id not in written]
    with connection.transaction():
        return tasks.finish_tasks(connection, bucket, ended) | tasks.retry_tasks(connection, bucket, failed)


def _locked(connection: Connection, bucket: int, results: Sequence[Result], written: set[int]) -> list[Result]:
    """Return the results that were not written because somebody holds the task locked, not because it is stale."""
    if len(written) == len(results):
        return []
    unwritten = [result for result in results if result.task.id not in written]
    held = tasks.held_tasks(connection, bucket, [result.task for result in unwritten])
    return [result for result in unwritten if result.task.id in held]


def _tell(bucket: int, results: Sequence[Result], written: set[int]) -> None:
    ours = results
    if len(written) < len(results):
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
