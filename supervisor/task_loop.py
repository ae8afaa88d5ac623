"""The main loop of a worker: claim a chunk of one bucket, run it task by task, finish it in bulk."""

import logging
import time
from collections import Counter, deque

from pgsupervise.metrics import recorder
from pgsupervise.partitions import tasks
from pgsupervise.partitions.rows import ClaimedTask

from .context import WorkerContext
from .pace import Pace
from .results import Result

logger = logging.getLogger(__name__)
WATERMARK_SECONDS = 1.0
"""How long a watermark is trusted: late commits, retries and higher priorities land below it."""
RECONCILE_SECONDS = 10.0
UNKNOWN_SECONDS = 60.0


class TaskLoop:
    """Runs tasks one at a time, in the worker's main thread: a stuck one can be killed with its process alone."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._names = list(context.project.tasks)
        self._limits = {
            name: spec.hard_timeout.total_seconds() for name, spec in context.project.tasks.items() if spec.hard_timeout
        }
        self._link = context.link("tasks", self._lost)
        self._pace = Pace()
        self._turns: deque[int] = deque()
        self._watermarks: dict[int, tuple[int, tasks.Watermark, float]] = {}
        self._unstarted: list[ClaimedTask] = []
        self._entered: int | None = None
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
        while self._unsettled:
            with self._link.guard():
                self._settle()
            if not self._context.ownership.trusted():
                break  # reclaimed by others before we could tell: their token is newer
            if self._unsettled:
                self._pause(self._context.config.poll.total_seconds())  # somebody holds a row locked
        self._link.close()

    def step(self) -> bool:
        """Serve one bucket; return whether there was anything to do."""
        self._settle()
        if not self._context.ownership.trusted():
            return False
        self._warn_of_unknown()
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
        # Not left while claims are unsettled, whatever happens: its next owner would run what is behind them first.
        self._entered = bucket
        chunk = self._claim(bucket, epoch)
        self._unstarted.extend(reversed(chunk))
        self._run_unstarted(bucket)
        self._settle()
        return bool(chunk)

    def _claim(self, bucket: int, epoch: int) -> list[ClaimedTask]:
        now = time.monotonic()
        of_epoch, watermark, until = self._watermarks.get(bucket, (epoch, tasks.START, 0.0))
        if now >= until or of_epoch != epoch:
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
        self._watermarks[bucket] = (epoch, reached, until) if chunk else (epoch, tasks.START, 0.0)
        recorder.tasks_claimed(len(chunk))
        return chunk

    def _run_unstarted(self, bucket: int) -> None:
        while self._unstarted:
            task = self._unstarted[-1]
            if self._pace.is_slow(task.name):
                self._context.results.write(self._link.connection)  # what is done must not wait behind a long task
            self._context.take_signals()
            # After the write, which may have taken long: from here to the run nothing waits for anybody.
            if self._must_stop(bucket):
                return
            self._unstarted.pop()
            if task.id in self._context.cancelled:
                self._give_back(bucket, [task])
            else:
                self._run(task)

    def _must_stop(self, bucket: int) -> bool:
        context = self._context
        return context.draining.is_set() or not context.ownership.trusted() or context.ownership.is_leaving(bucket)

    def _run(self, task: ClaimedTask) -> None:
        board = self._context.board
        limit = self._limits.get(task.name)
        board.started(task.id, time.monotonic() + limit if limit else 0.0)
        began = time.perf_counter()
        outcome = self._context.project.run_task(task)
        seconds = time.perf_counter() - began
        # Not in a `finally`: what got past the runner ends this process, and the board says which task it was.
        board.finished()
        self._context.inbox.keep_handlers()
        self._pace.ran(task.name, seconds)
        self._context.results.add(Result(task, outcome, seconds))

    @property
    def _unsettled(self) -> bool:
        return self._entered is not None or bool(self._unstarted or self._context.results)

    def _settle(self) -> None:
        """Write down what is done and give back what is not begun; both are fenced by the claim tokens."""
        self._context.results.write(self._link.connection)
        while self._unstarted:
            bucket = self._unstarted[-1].bucket
            self._give_back(bucket, [task for task in self._unstarted if task.bucket == bucket])
            self._unstarted = [task for task in self._unstarted if task.bucket != bucket]
        self._reconcile_if_due()
        if self._entered is not None:
            self._context.ownership.leave(self._entered)
            self._entered = None

    def _give_back(self, bucket: int, chunk: list[ClaimedTask]) -> None:
        given = tasks.give_back_tasks(self._link.connection, bucket, chunk)
        # They are behind the watermark, in front of what would be claimed next.
        self._watermarks.pop(bucket, None)
        if len(given) < len(chunk):
            # What somebody holds locked is found as a claim that nobody holds, when it is not locked any more.
            held = tasks.held_tasks(self._link.connection, bucket, chunk)
            recorder.stale_writes("release", len(chunk) - len(given) - len(held))
        for name, count in Counter(task.name for task in chunk if task.id in given).items():
            recorder.tasks_given_back(name, count)

    def _reconcile_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._reconcile_at:
            found = tasks.release_unheld_tasks(self._link.connection, self._context.id, [])
            self._reconcile_at = now + RECONCILE_SECONDS
            if found:
                self._watermarks.clear()
                logger.warning("claims found that nobody held", extra={"fields": {"tasks": len(found)}})
            recorder.reclaimed("task", "lost_reply", len(found))

    def _warn_of_unknown(self) -> None:
        now = time.monotonic()
        if now < self._unknown_at or not self._context.ownership.owned():
            return
        self._unknown_at = now + UNKNOWN_SECONDS
        unknown = tasks.unknown_tasks(self._link.connection, self._context.id, self._names)
        for name, count in unknown:
            logger.warning("unknown task name: left for newer code", extra={"fields": {"task": name, "ready": count}})
        recorder.tasks_unknown(sum(count for _, count in unknown))
