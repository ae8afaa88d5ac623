"""The main loop of a worker: claim a chunk of one bucket, run it task by task, finish it in bulk."""

import logging
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass

from pgsupervise.metrics import recorder
from pgsupervise.metrics.instruments import TaskEnd
from pgsupervise.partitions import tasks
from pgsupervise.partitions.backoff import TASK_RETRY
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.partitions.states import TaskState

from .context import WorkerContext
from .link import Link
from .outcomes import Done, Failed, TaskOutcome
from .pace import Pace

logger = logging.getLogger(__name__)
WATERMARK_SECONDS = 1.0
"""How long a watermark is trusted: late commits, retries and higher priorities land below it."""
RECONCILE_SECONDS = 10.0
UNKNOWN_SECONDS = 60.0


@dataclass(slots=True)
class _Result:
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


class TaskLoop:
    """Runs tasks one at a time, in the worker's main thread: a stuck one can be killed with its process alone."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._names = list(context.project.tasks)
        self._link = Link(context.project.conninfo, "tasks " + context.name, self._lost, context.config.fence_after / 2)
        self._pace = Pace()
        self._turns: deque[int] = deque()
        self._watermarks: dict[int, tuple[tasks.Watermark, float]] = {}
        self._results: dict[int, list[_Result]] = defaultdict(list)
        self._unstarted: list[ClaimedTask] = []
        self._reconcile_at = time.monotonic() + RECONCILE_SECONDS
        self._unknown_at = 0.0

    def run(self) -> None:
        """Serve until the worker drains; then finish what is done and give back what is not begun."""
        while not self._context.draining.is_set():
            worked = False
            with self._link.guard():
                worked = self.step()
            if not worked:
                self._pause(self._context.config.poll.total_seconds())
        while self._unstarted or any(self._results.values()):
            with self._link.guard():
                self._settle()
            if not self._context.ownership.trusted():
                break  # reclaimed by others before we could tell: their token is newer
        self._link.close()

    def step(self) -> bool:
        """Serve one bucket; return whether there was anything to do."""
        self._settle()
        if not self._context.ownership.trusted():
            return False
        self._reconcile_if_due()
        if not self._turns:
            # A round serves each bucket once: one with an endless backlog does not keep the others waiting.
            self._turns.extend(self._buckets_with_work())
        return bool(self._turns) and self._serve(self._turns.popleft())

    def _lost(self, seconds: float) -> None:
        self._reconcile_at = 0.0  # the lost reply may have been that of a claim
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        self._context.inbox.wait(seconds)
        self._context.take_signals()

    def _buckets_with_work(self) -> list[int]:
        if not self._names or not self._context.ownership.owned():
            return []
        probes = tasks.probe_tasks(self._link.connection, self._context.id, self._names)
        for probe in probes:
            if probe.due:
                tasks.promote_tasks(self._link.connection, probe.bucket)
        return [probe.bucket for probe in probes]

    def _serve(self, bucket: int) -> bool:
        epoch = self._context.ownership.enter(bucket)
        if epoch is None:
            return False
        try:
            chunk = self._claim(bucket, epoch)
            for task in chunk:
                self._unstarted.append(task)
            self._run_unstarted(bucket)
            self._settle()
        finally:
            self._context.ownership.leave(bucket)
        return bool(chunk)

    def _claim(self, bucket: int, epoch: int) -> list[ClaimedTask]:
        now = time.monotonic()
        watermark, until = self._watermarks.get(bucket, (tasks.START, 0.0))
        if now >= until:
            watermark, until = tasks.START, now + WATERMARK_SECONDS
        chunk, reached = tasks.claim_tasks(
            self._link.connection,
            bucket=bucket,
            owner=self._context.id,
            epoch=epoch,
            names=self._names,
            limit=self._pace.chunk,
            after=watermark,
        )
        # An empty claim starts over: the probe has seen something, so it lies below the watermark.
        self._watermarks[bucket] = (reached, until) if chunk else (tasks.START, 0.0)
        recorder.tasks_claimed(len(chunk))
        return chunk

    def _run_unstarted(self, bucket: int) -> None:
        self._unstarted.reverse()
        while self._unstarted:
            self._context.take_signals()
            if self._must_stop(bucket):
                return
            if self._pace.is_slow(self._unstarted[-1].name):
                self._finish_results()  # what is done must not wait behind a long task
            self._run(self._unstarted.pop())

    def _must_stop(self, bucket: int) -> bool:
        context = self._context
        return context.draining.is_set() or not context.ownership.trusted() or context.ownership.is_leaving(bucket)

    def _run(self, task: ClaimedTask) -> None:
        board = self._context.board
        board.started(task.id)
        began = time.perf_counter()
        outcome = self._context.project.run_task(task)
        seconds = time.perf_counter() - began
        # Not in a `finally`: what got past the runner ends this process, and the board says which task it was.
        board.finished()
        self._context.inbox.keep_handlers()
        self._pace.ran(task.name, seconds)
        self._results[task.bucket].append(_Result(task, outcome, seconds))

    def _settle(self) -> None:
        """Write down what is done and give back what is not begun; both are fenced by the claim tokens."""
        self._finish_results()
        while self._unstarted:
            bucket = self._unstarted[-1].bucket
            chunk = [task for task in self._unstarted if task.bucket == bucket]
            given = tasks.give_back_tasks(self._link.connection, bucket, chunk)
            recorder.stale_writes("release", len(chunk) - len(given))
            for name, count in Counter(task.name for task in chunk if task.id in given).items():
                recorder.tasks_given_back(name, count)
            self._unstarted = [task for task in self._unstarted if task.bucket != bucket]

    def _finish_results(self) -> None:
        for bucket in [bucket for bucket, results in self._results.items() if results]:
            results = self._results[bucket]
            connection = self._link.connection
            with connection.transaction():
                written = _write(connection, bucket, results)
            del self._results[bucket]
            _tell_failures([result for result in results if result.task.id in written])
            _count([result for result in results if result.task.id in written])
            if len(written) < len(results):
                # Reclaimed meanwhile, or our COMMIT succeeded and its reply was lost: either way not ours any more.
                recorder.stale_writes("finish", len(results) - len(written))
                stale = [result.task.id for result in results if result.task.id not in written]
                logger.warning("stale results dropped", extra={"fields": {"bucket": bucket, "tasks": stale[:20]}})

    def _reconcile_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._reconcile_at:
            self._reconcile_at = now + RECONCILE_SECONDS
            found = tasks.release_unheld_tasks(self._link.connection, self._context.id, [])
            recorder.reclaimed("task", "lost_reply", len(found))
        if now >= self._unknown_at and self._context.ownership.owned():
            self._unknown_at = now + UNKNOWN_SECONDS
            unknown = tasks.unknown_tasks(self._link.connection, self._context.id, self._names)
            for name, count in unknown:
                logger.warning(
                    "unknown task name: left for newer code", extra={"fields": {"task": name, "ready": count}}
                )
            recorder.tasks_unknown(sum(count for _, count in unknown))


def _tell_failures(results: list[_Result]) -> None:
    for result in results:
        if isinstance(result.outcome, Failed):
            task, dead = result.task, result.label == "dead"
            fields = {"task": task.name, "id": task.id, "attempt": task.attempt, "of": task.max_attempts}
            fields["error"] = result.outcome.error
            event = "task dead" if dead else "task failed: it is tried again"
            logger.log(logging.ERROR if dead else logging.WARNING, event, extra={"fields": fields})


def _count(results: list[_Result]) -> None:
    durations: dict[tuple[str, TaskEnd], list[float]] = defaultdict(list)
    for result in results:
        durations[result.task.name, result.label].append(result.seconds)
    for (name, label), seconds in durations.items():
        recorder.tasks_finished(name, label, seconds)


def _write(connection: Connection, bucket: int, results: list[_Result]) -> set[int]:
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
