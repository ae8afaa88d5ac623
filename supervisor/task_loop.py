"""The main loop of a worker: claim a chunk of one bucket, run it task by task, finish it in bulk."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from pgsupervise.metrics import recorder
from pgsupervise.partitions import tasks
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import ClaimedTask

from .context import WorkerContext
from .pace import CHUNK_SECONDS, Pace
from .results import NEVER, Result
from .sleep import Sleep
from .watermarks import Watermarks

logger = logging.getLogger(__name__)
WRITE_SECONDS = 0.035
"""How old a result may be when the next task begins: then it is written, with all others."""
QUICK_SECONDS = 0.001
"""A task that takes no longer is not worth a look at what it left of the process's signal handlers; its chunk is."""
LONGEST_CHUNK_SECONDS = 2 * CHUNK_SECONDS
"""What of a chunk is not begun by then is given back."""
LOOK_SECONDS = 0.1
"""How often buckets that are not being served are looked at while others are."""
ASLEEP_SECONDS = 2.0
"""And while asleep: for tasks that were scheduled for now, or written by others than enqueue()."""
SOONEST_SECONDS = 0.01
SPINS, SPIN_SECONDS, MOST_LOOKS = 3, 0.002, 20
"""So often, so far apart a worker looks before it falls asleep; where it cannot, less and less often up to `--poll`."""
BUSY_TASKS = 8
"""So many at once are no trickle: a worker that sleeps between them would be woken by each."""
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
        self._sleep = Sleep()
        self._turns: dict[int, None] = {}
        self._watermarks = Watermarks()
        self._unstarted: list[ClaimedTask] = []
        self._entered: list[int] = []
        self._looked = 0
        self._look_at = 0.0
        self._reconcile_at = time.monotonic() + RECONCILE_SECONDS
        self._unknown_at = 0.0

    def run(self) -> None:
        """Serve until the worker drains; then finish what is done and give back what is not begun."""
        while not self._context.draining.is_set():
            with self._link.guard():
                if not self.step():
                    self._rest()
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
        now = time.monotonic()
        if self._unstarted or now >= self._reconcile_at:
            self._settle()
        if not self._context.ownership.trusted():
            self._settle()
            return False
        if now >= self._look_at or not (self._turns or self._sleep.is_deep(self._link.connection)):
            self._settle()
            self._look(now)
        if self._sleep.is_deep(self._link.connection):
            self._hear(self._link.connection)  # others have been told nothing else than that this worker sleeps
        if not self._turns:
            self._settle()
            return False
        return self._serve(next(iter(self._turns)))

    def _lost(self, seconds: float) -> None:
        self._reconcile_at = 0.0  # the lost reply may have been that of a claim
        self._pause(seconds)

    def _pause(self, seconds: float, also: Sequence[int] = ()) -> None:
        self._context.inbox.wait(seconds, also)
        self._context.take_signals()

    def _rest(self) -> None:
        """Wait for work: shortly at first, then asleep, where that can be, or until the next look."""
        poll = self._context.config.poll.total_seconds()
        owned = self._context.ownership.owned()
        if not self._names or not owned:
            self._pause(poll)
            return
        connection = self._link.connection
        was_asleep = self._sleep.covers(connection, owned.keys())
        if not was_asleep and (self._looked < SPINS or not self._sleep.begin(connection, owned.keys())):
            # In the midst of work nobody has to wake it. Nor can it fall asleep while somebody is about to commit.
            self._pause(min(poll, SPIN_SECONDS * 2 ** max(0, self._looked - SPINS)))
            self._looked = min(self._looked + 1, MOST_LOOKS)
            return
        if not was_asleep:
            # Until now nobody has told of what lies below a watermark: a late commit, or a higher priority.
            self._watermarks.clear()
            self._look_at = 0.0
            return
        if self._context.results.has_scheduled:
            self._context.results.has_scheduled = False
            self._look_at = 0.0  # a retry may be due before the next look
            return
        if not self._hear(connection):
            self._pause(max(0.0, self._look_at - time.monotonic()), [connection.fileno()])
            self._hear(connection)

    def _hear(self, connection: Connection) -> bool:
        """Give the buckets their turns for which tasks have come; they may be of higher priority than the last ones."""
        heard = self._sleep.heard(connection)
        for bucket in heard:
            self._watermarks.forget(bucket)
            self._turns[bucket] = None
        return bool(heard)

    def _look(self, now: float) -> None:
        """Find the buckets that have work; each one's turn comes once a round."""
        self._warn_of_unknown()
        owned = self._context.ownership.owned()
        if self._names and owned:
            self._turns.update(dict.fromkeys(self._buckets_with_work(owned, now)))
        self._look_at = now + LOOK_SECONDS
        if owned and self._sleep.is_deep(self._link.connection):
            until_due = tasks.seconds_to_next_task(self._link.connection, owned)
            wait = ASLEEP_SECONDS if until_due is None else min(ASLEEP_SECONDS, max(SOONEST_SECONDS, until_due))
            self._look_at = now + wait

    def _buckets_with_work(self, owned: Mapping[int, int], now: float) -> list[int]:
        behind = {bucket: self._watermarks.behind(bucket, epoch, now) for bucket, epoch in owned.items()}
        began = time.monotonic()
        probes = tasks.probe_tasks(self._link.connection, behind, self._names)
        seconds = time.monotonic() - began
        found = [probe.bucket for probe in probes]
        whole = {bucket for bucket, after in behind.items() if after == tasks.START}
        if whole:
            self._watermarks.looked(whole.difference(found), now, seconds)
        for probe in probes:
            if probe.due:
                tasks.promote_tasks(self._link.connection, probe.bucket)
            if probe.due or probe.bucket in whole:
                self._watermarks.forget(probe.bucket)
        return found

    def _serve(self, bucket: int) -> bool:
        del self._turns[bucket]
        epoch = self._context.ownership.enter(bucket)
        if epoch is None:
            return bool(self._turns)
        # Not left while claims are unsettled, whatever happens: its next owner would run what is behind them first.
        self._entered.append(bucket)
        limit = self._pace.chunk
        chunk = self._claim(bucket, epoch, limit)
        self._leave_all_but(bucket)
        if chunk:
            self._looked = 0
        elif self._sleep.is_deep(self._link.connection):
            self._look_at = 0.0  # told of a task that is not ready yet
        if len(chunk) >= BUSY_TASKS:
            self._sleep.end(self._link.connection)
        if len(chunk) == limit:
            self._turns[bucket] = None  # behind the others: an endless backlog does not keep them waiting
        self._unstarted = chunk[::-1]
        self._run_unstarted(bucket)
        return bool(chunk or self._turns)

    def _claim(self, bucket: int, epoch: int, limit: int) -> list[ClaimedTask]:
        """Claim a chunk, and write down in the same round trip what has run of the one before."""
        now = time.monotonic()
        after = self._watermarks.behind(bucket, epoch, now)
        claim = tasks.Claim(
            bucket=bucket, owner=self._context.id, epoch=epoch, names=self._names, limit=limit, after=after
        )
        chunk = self._context.results.write_and_claim(self._link.connection, claim)
        self._watermarks.claimed(bucket, epoch, after, chunk, now)
        recorder.tasks_claimed(len(chunk.tasks))
        return chunk.tasks

    def _leave_all_but(self, bucket: int) -> None:
        """Leave the buckets whose claims are settled; one whose result is kept, as it is locked, stays entered."""
        if not self._context.results:
            *former, _ = self._entered
            for other in former:
                self._context.ownership.leave(other)
            self._entered = [bucket]

    def _run_unstarted(self, bucket: int) -> None:
        results = self._context.results
        stop_at = time.monotonic() + LONGEST_CHUNK_SECONDS
        while self._unstarted:
            task = self._unstarted[-1]
            if self._pace.is_slow(task.name):
                self._sleep.end(self._link.connection)  # or each task that comes meanwhile would be told of
            if self._pace.is_slow(task.name) or time.monotonic() - results.since > WRITE_SECONDS:
                results.write(self._link.connection)  # what is done must not wait behind a long task
                self._context.inbox.keep_handlers()
            self._context.take_signals()
            # After the write, which may have taken long: from here to the run nothing waits for anybody.
            if self._must_stop(bucket):
                return
            self._unstarted.pop()
            if task.id in self._context.cancelled:
                self._give_back(bucket, [task])
            else:
                self._run(task)
            if self._unstarted and time.monotonic() > stop_at:
                self._turns[bucket] = None
                return  # these tasks take longer than the ones before: others have waited long enough
        self._context.inbox.keep_handlers()

    def _must_stop(self, bucket: int) -> bool:
        context = self._context
        return context.draining.is_set() or not context.ownership.trusted() or context.ownership.is_leaving(bucket)

    def _run(self, task: ClaimedTask) -> None:
        board = self._context.board
        limit = self._limits.get(task.name)
        began = time.monotonic()
        board.started(task.id, began + limit if limit else 0.0)
        outcome = self._context.project.run_task(task)
        ended = time.monotonic()
        # Not in a `finally`: what got past the runner ends this process, and the board says which task it was.
        board.finished()
        seconds = ended - began
        if seconds > QUICK_SECONDS:
            self._context.inbox.keep_handlers()
        self._pace.ran(task.name, seconds)
        results = self._context.results
        is_first = results.since == NEVER
        results.add(Result(task, outcome, seconds), ended)
        if is_first and self._unstarted:
            self._context.attention.set()  # it must not wait for long, should the next task not end

    @property
    def _unsettled(self) -> bool:
        return bool(self._entered or self._unstarted or self._context.results)

    def _settle(self) -> None:
        """Write down what is done and give back what is not begun; both are fenced by the claim tokens."""
        self._context.results.write(self._link.connection)
        while self._unstarted:
            bucket = self._unstarted[-1].bucket
            self._give_back(bucket, [task for task in self._unstarted if task.bucket == bucket])
            self._unstarted = [task for task in self._unstarted if task.bucket != bucket]
        self._reconcile_if_due()
        for bucket in self._entered:
            self._context.ownership.leave(bucket)
        self._entered.clear()

    def _give_back(self, bucket: int, chunk: list[ClaimedTask]) -> None:
        given = tasks.give_back_tasks(self._link.connection, bucket, chunk)
        # They are behind the watermark, in front of what would be claimed next.
        self._watermarks.forget(bucket)
        if len(given) < len(chunk):
            # What somebody holds locked is found as a claim that nobody holds, when it is not locked any more.
            held = tasks.held_tasks(self._link.connection, bucket, chunk)
            recorder.stale_writes("release", len(chunk) - len(given) - len(held))
        for name, count in Counter(task.name for task in chunk if task.id in given).items():
            recorder.tasks_given_back(name, count)

    def _reconcile_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._reconcile_at:
            found = tasks.release_unheld_tasks(self._link.connection, self._context.id, self._context.results.held())
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
