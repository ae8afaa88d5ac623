"""The beat thread: heartbeat, leases and hand-over. It has a connection of its own, and work never starves it."""

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

import setproctitle

from pgsupervise.metrics import recorder
from pgsupervise.partitions import leases, workers
from pgsupervise.partitions.buckets import partition_of
from pgsupervise.partitions.cancelling import cancelled_claims

from .context import WorkerContext
from .deadlines import LOCK_SECONDS
from .exits import ExitCode
from .share import targets

logger = logging.getLogger(__name__)
SIGNAL_SECONDS = 0.25
"""How often signals and changes are looked for: the main thread does so only between two tasks."""
LONGEST_PAUSE_SECONDS = 1.0
UNSETTLED_SECONDS = 0.1
"""How often the leases are looked at while what is owned is not yet what should be owned."""
SETTLING_SECONDS = 10.0
"""For so long: then what is missing waits for somebody's long task."""


class Beat(threading.Thread):
    """Keeps the worker alive in the others' eyes until the work has ended."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__(name="beat", daemon=True)
        self._context = context
        self._ownership = context.ownership
        self._wake = threading.Event()
        self._link = context.link("beat", self._pause, context.config.fence_after.total_seconds() / 2)
        self._told_draining = False
        self._changes = -1
        self._shown = ""
        self._settled = False
        self._settled_at = time.monotonic()
        self._next_beat = 0.0
        self._stand_in_from = time.monotonic() + context.config.beat.total_seconds()

    def run(self) -> None:
        """Beat until the worker has drained, then give everything back."""
        while not self._context.work_ended.is_set():
            self._context.take_signals()
            if self._is_due():
                self._settled = False
                with self._link.guard():
                    self._beat_if_due()
                    self._settled = self._look_after_leases()
                    self._show_buckets()
                    self._context.board.booted()
            self._wake.wait(min(SIGNAL_SECONDS, self._pause_until_next()))
            self._wake.clear()
        with self._link.guard():
            self._take_leave()
        self._link.close()

    def _show_buckets(self) -> None:
        shown = _spans(self._ownership.owned()) or "standing by"
        if shown != self._shown:
            self._shown = shown
            setproctitle.setproctitle(f"pgsupervise: {self._context.name} [{shown}]")

    def wake(self) -> None:
        """Look at the leases now; called when a bucket may be let go or the work has ended."""
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        recorder.beat_failed()
        # Not for long: when the database is back, others soon take who does not beat for dead.
        self._context.work_ended.wait(min(seconds, LONGEST_PAUSE_SECONDS))

    def _is_due(self) -> bool:
        if self._changes != self._context.common.changes or self._ownership.idle_leaving():
            self._settled = False
        now = time.monotonic()
        if self._settled:
            self._settled_at = now
        return not self._settled or self._context.draining.is_set() or now >= self._next_beat

    def _pause_until_next(self) -> float:
        now = time.monotonic()
        until_beat = max(0.0, self._next_beat - now)
        if not self._settled and now - self._settled_at < SETTLING_SECONDS:
            return min(UNSETTLED_SECONDS, until_beat)
        return until_beat

    def _beat_if_due(self) -> None:
        sent_at = time.monotonic()
        context = self._context
        tells = context.draining.is_set() and not self._told_draining
        if sent_at < self._next_beat and not tells:
            return
        alive = workers.beat(
            self._link.connection,
            context.id,
            draining=tells or self._told_draining,
            running_task=context.board.running_task,
        )
        if not alive:
            self._end_as_dead()
        if tells:
            self._told_draining = True  # at once: until then the others leave us what we let go
            context.common.changed()
        self._ownership.renewed(sent_at)
        context.board.beat(sent_at)
        recorder.beat()
        self._next_beat = sent_at + context.config.beat.total_seconds()
        context.cancelled = cancelled_claims(self._link.connection, context.id)

    def _end_as_dead(self) -> None:
        # Our tasks and buckets are somebody else's by now. Python offers no way to stop a task in another thread, so
        # the process ends; nothing it could still write would pass the fences.
        recorder.stale_writes("beat", 1)
        logger.error("declared dead by others: ending", extra={"fields": {"instance": self._context.id}})
        try:
            self._say_last_words()
        finally:
            os._exit(ExitCode.FENCED)

    def _say_last_words(self) -> None:
        """Write down what the main loop has finished: where others have taken over it is refused, and counted."""
        self._context.results.write(self._link.connection, LOCK_SECONDS)

    def _look_after_leases(self) -> bool:
        """Move towards the goal by one step; return whether it is reached."""
        connection, me = self._link.connection, self._context.id
        self._changes = self._context.common.changes
        now = leases.all_leases(connection)
        self._notice_changes({lease.bucket: lease.epoch for lease in now if lease.owner == me})
        self._release(self._ownership.idle_leaving())
        if self._context.draining.is_set():
            self._ownership.let_go(self._ownership.owned())
            return False
        live = workers.live_workers(connection)
        self._context.board.has_peers = any(worker.supervisor != self._context.supervisor_id for worker in live)
        goal = targets(live)
        mine = {bucket for bucket, owner in goal.items() if owner == me and self._may_take(bucket)}
        owned = set(self._ownership.owned())
        self._hand_over(owned - mine, goal)
        missing = mine - owned
        if missing:
            self._acquire(missing & {lease.bucket for lease in now if lease.owner is None})
        kept = self._ownership.leaving() - self._ownership.idle_leaving()
        return set(self._ownership.owned()) - kept == mine

    def _may_take(self, bucket: int) -> bool:
        """Return whether to take a bucket: just after the start the other slots are only late, not away."""
        config = self._context.config
        own = partition_of(bucket, config.partitions) % config.workers == self._context.slot
        return own or time.monotonic() >= self._stand_in_from or bucket in self._ownership.owned()

    def _notice_changes(self, in_database: dict[int, int]) -> None:
        """Believe the database: what it does not call ours is lost, and what it calls ours we have."""
        owned = self._ownership.owned()
        lost = {bucket for bucket, epoch in owned.items() if in_database.get(bucket) != epoch}
        if lost:
            logger.warning("leases lost", extra={"fields": {"buckets": _spans(lost)}})
            recorder.leases_changed("lost", len(lost))
            self._ownership.forget(lost)
        found = {bucket: epoch for bucket, epoch in in_database.items() if bucket not in owned or bucket in lost}
        # The reply to our own acquisition was lost: the buckets are ours all the same.
        self._ownership.adopt(found)

    def _hand_over(self, unwanted: Collection[int], goal: Mapping[int, UUID]) -> None:
        """Begin to let one partition go; the next one follows when this one is released.

        A bucket whose task takes long follows when the task has ended: it keeps neither its partition nor the others.
        """
        if self._ownership.idle_leaving() or not unwanted:
            return
        unwanted = set(unwanted) - self._ownership.leaving()
        by_partition = self._by_partition(bucket for bucket in unwanted if bucket in goal)
        if by_partition:
            self._ownership.let_go(by_partition[min(by_partition)])
            self._context.inbox.wake()

    def _release(self, idle: Collection[int]) -> None:
        if idle:
            released = leases.release_leases(self._link.connection, self._context.id, idle)
            self._ownership.forget(idle)
            self._context.common.changed()
            recorder.leases_changed("released", len(released))
            logger.info("leases released", extra={"fields": {"buckets": _spans(released)}})

    def _acquire(self, free: Collection[int]) -> None:
        for buckets in self._by_partition(free).values():
            taken = leases.acquire_leases(self._link.connection, self._context.id, buckets)
            if taken:
                self._ownership.adopt(taken)
                recorder.leases_changed("acquired", len(taken))
                fields = {"buckets": _spans(taken), "epoch": max(taken.values())}
                logger.info("leases acquired", extra={"fields": fields})
                self._context.inbox.wake()

    def _by_partition(self, buckets: Iterable[int]) -> dict[int, list[int]]:
        grouped: dict[int, list[int]] = defaultdict(list)
        for bucket in sorted(buckets):
            grouped[partition_of(bucket, self._context.config.partitions)].append(bucket)
        return grouped

    def _take_leave(self) -> None:
        self._release(self._ownership.owned())
        workers.stop_worker(self._link.connection, self._context.id, "drained")


def _spans(buckets: Collection[int]) -> str:
    """Return buckets as spans, "0-31,64": short enough for a log line."""
    spans: list[list[int]] = []
    for bucket in sorted(buckets):
        if spans and bucket == spans[-1][1] + 1:
            spans[-1][1] = bucket
        else:
            spans.append([bucket, bucket])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
