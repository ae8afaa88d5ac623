"""The keeper: buries processes that have ended, reclaims what they held, and looks after the archive.

Every supervisor has one and any of them may bury and reclaim. What must happen once in the whole cluster is done by
the one that holds the keeper's seat, a lease like a bucket's.
"""

import json
import logging
import os
import time
from collections import Counter
from datetime import datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from uuid import UUID

from pgsupervise.metrics import recorder
from pgsupervise.metrics.instruments import Cause
from pgsupervise.partitions import cancelling, leases, provider_events, reclaim, retention, workers
from pgsupervise.partitions.states import TaskState

from .child import register
from .context import ChildContext
from .exits import ExitCode
from .judging import UNKNOWN_REST
from .link import Link
from .orphans import Orphans
from .project import OnUnknown

logger = logging.getLogger(__name__)
SWEEP_SECONDS = 1.0
RECLAIM_CHUNK = 1000
ORPHAN_SHARE = 0.9
"""Of the time-to-dead: then the orphans are killed that have not ended by themselves (see beat.ORPHAN_SHARE)."""
HOUSEKEEPING_SECONDS = 600.0
SHORTEST_ANSWER = 5.0
"""A statement gets the time-to-dead to be answered, but so many seconds: the dead wait for a keeper that is cut off."""
KEEP_ENDED_WORKERS = timedelta(hours=1)


class Keeper:
    """One keeper process. `deaths` is the pipe on which the parent tells of children that ended."""

    def __init__(self, context: ChildContext, deaths: Pipe, orphans: Orphans) -> None:
        self._context = context
        self._deaths: Pipe | None = deaths
        self._orphans = orphans
        self._orphaned_until: float | None = None
        config = context.config
        answer = max(SHORTEST_ANSWER, config.dead_after.total_seconds())
        self._link = Link(context.project.conninfo, context.name, self._pause, config.fence_after / 2, answer)
        self._steady_since = float("inf")
        self._next_beat = 0.0
        self._next_sweep = 0.0
        self._next_housekeeping = 0.0
        self._unburied: list[tuple[UUID, str, int | None]] = []
        self._silent: dict[tuple[UUID, datetime], float] = {}
        self._seated = False
        project = context.project
        self._safe_channels = [name for name, spec in project.channels.items() if spec.resend_is_safe]
        self._dead_on_timeout = [name for name, spec in project.tasks.items() if not spec.retry_timeout]
        self._resend_policies = project.unknown_as(OnUnknown.RESEND)
        reconciled = project.unknown_as(OnUnknown.RECONCILE)
        telling = [name for name, spec in project.channels.items() if spec.tells_later]
        self._waits = reclaim.UnknownWaits(UNKNOWN_REST, reconciled, project.unknown_grace, telling)

    def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        if not register(self._context):
            return ExitCode.OK
        while not self._context.draining.is_set():
            with self._link.guard():
                self.step()
                self._context.board.booted()
            also = [self._deaths.fileno()] if self._deaths else []
            self._context.inbox.wait(self._next_beat_or_sweep() - time.monotonic(), also)
            self._context.take_signals()
            if os.getppid() != self._context.parent_pid:
                self._survive_parent()
        with self._link.guard():
            self.step()
            workers.stop_worker(self._link.connection, self._context.id, "drained")
            leases.free_leases_of_the_dead(self._link.connection)
        self._link.close()
        return ExitCode.OK

    def step(self) -> None:
        """Beat, bury whom the parent saw end, and sweep when it is time."""
        self._beat_if_due()
        buried = self._bury_the_ended()
        if buried or time.monotonic() >= self._next_sweep:
            self._sweep("exit" if buried else "silence")
        if time.monotonic() >= self._next_housekeeping:
            self._keep_house()

    def _survive_parent(self) -> None:
        """Stay until the workers have ended, and end those that do not; they are buried with the next step."""
        now, dead_after = time.monotonic(), self._context.config.dead_after.total_seconds()
        if self._orphaned_until is None:
            logger.warning("the supervisor is gone: waiting for its workers to end")
            self._orphaned_until = now + ORPHAN_SHARE * dead_after
        if now >= self._orphaned_until:
            for row in self._orphans.kill():
                logger.warning("killing an orphan", extra={"fields": {"pid": row.pid, "task": row.running_task}})
                if row.instance:
                    self._unburied.append((row.instance, "orphaned", row.running_task))
        if not self._orphans.alive():
            self._context.drain()

    def _pause(self, seconds: float) -> None:
        # After a loss everybody's beat is late, ours too: wait until the others had time to come back.
        self._steady_since = float("inf")
        self._context.inbox.wait(seconds)
        self._context.take_signals()

    def _next_beat_or_sweep(self) -> float:
        return min(self._next_beat, self._next_sweep)

    def _beat_if_due(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        if now - self._next_beat > self._context.config.beat.total_seconds() and self._next_beat:
            self._steady_since = now  # we were away ourselves: stopped, or starved
        if not workers.beat(self._link.connection, self._context.id, draining=False, running_task=None):
            recorder.stale_writes("beat", 1)
            logger.error("declared dead by others: ending", extra={"fields": {"instance": self._context.id}})
            os._exit(ExitCode.FENCED)
        self._steady_since = min(self._steady_since, now)
        self._context.board.beat(now)
        recorder.beat()
        self._next_beat = now + self._context.config.beat.total_seconds()

    def _bury_the_ended(self) -> bool:
        try:
            while self._deaths and self._deaths.poll():
                told = json.loads(self._deaths.recv_bytes())
                self._unburied.append((UUID(told["id"]), told["reason"], told["running_task"]))
        except EOFError:  # the parent is gone
            self._deaths = None
        buried = False
        for worker, reason, running_task in self._unburied:
            buried = workers.bury_worker(self._link.connection, worker, reason, running_task) or buried
        if self._unburied:
            # One whose row somebody holds locked is tried again.
            left = workers.living_workers(self._link.connection, [worker for worker, _, _ in self._unburied])
            self._unburied = [death for death in self._unburied if death[0] in left]
        return buried

    def _sweep(self, cause: Cause) -> None:
        connection = self._link.connection
        now = time.monotonic()
        if now - self._steady_since >= self._context.config.dead_after.total_seconds():
            self._bury_the_silent()
        # The tasks before the buckets: a bucket's next owner must not run what is behind them first.
        while self._reclaim(cause):
            pass
        freed = leases.free_leases_of_the_dead(connection)
        if freed:
            self._context.common.changed()
            logger.info("leases freed", extra={"fields": {"cause": cause, "leases": len(freed)}})
        cancelled = cancelling.archive_cancelled_tasks(connection)
        for name, count in Counter(cancelled).items():
            recorder.tasks_ended(name, "cancelled", count)
            logger.info("tasks cancelled", extra={"fields": {"task": name, "tasks": count}})
        self._next_sweep = now + SWEEP_SECONDS

    def _bury_the_silent(self) -> None:
        """Bury who was silent at the first look and has not beaten until a later one.

        One look is not enough: where the database itself stood still everybody is silent until the beats get through.
        """
        connection, now = self._link.connection, time.monotonic()
        silent = workers.silent_workers(connection)
        silent.pop(self._context.id, None)
        self._silent = {(id_, at): self._silent.get((id_, at), now) for id_, at in silent.items()}
        patience = self._context.config.beat.total_seconds()
        seen = {id_: at for (id_, at), since in self._silent.items() if now - since >= patience}
        for worker in workers.bury_silent_workers(connection, seen) if seen else ():
            logger.warning("worker silent: declared dead", extra={"fields": {"instance": worker}})

    def _reclaim(self, cause: Cause) -> bool:
        found = reclaim.reclaim(
            self._link.connection,
            safe_channels=self._safe_channels,
            resend_policies=self._resend_policies,
            waits=self._waits,
            most_copies=self._context.project.most_copies,
            dead_on_timeout=self._dead_on_timeout,
            limit=RECLAIM_CHUNK,
        )
        recorder.reclaimed("task", cause, found.claims)
        recorder.reclaimed("delivery", cause, found.deliveries)
        for task, state in found.ends:
            _tell_end(task, state)
        if found != reclaim.Reclaimed():
            fields = {"cause": cause, "tasks": found.tasks, "poisoned": found.poisoned, "timed_out": found.timed_out}
            fields |= {"deliveries": found.deliveries, "unknown": found.unknown_deliveries}
            logger.info("reclaimed", extra={"fields": fields})
        return RECLAIM_CHUNK in (found.claims, found.deliveries)  # there may be more

    def _keep_house(self) -> None:
        connection = self._link.connection
        self._next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
        self._seated = self._seated or bool(leases.acquire_leases(connection, self._context.id, [leases.KEEPER_SEAT]))
        if not self._seated:
            self._next_housekeeping = time.monotonic() + self._context.config.dead_after.total_seconds()
            return
        made = retention.create_finished_partitions(connection)
        dropped = retention.drop_finished_partitions(connection, self._context.config.keep_finished)
        stray = retention.delete_finished_default(connection, self._context.config.keep_finished)
        kept = max(self._context.config.keep_finished, self._context.project.keep_provider_events)
        told = provider_events.delete_provider_events(connection, kept, retention.CHUNK)
        if retention.CHUNK in (stray, told):
            self._next_housekeeping = time.monotonic() + SWEEP_SECONDS  # there are more
        pruned = workers.prune_workers(connection, KEEP_ENDED_WORKERS)
        if made or dropped or pruned or told:
            fields = {"made": len(made), "dropped": len(dropped), "workers": pruned, "provider_events": told}
            logger.info("archive kept", extra={"fields": fields})


def _tell_end(task: reclaim.LostTask, state: TaskState) -> None:
    fields = {"task": task.name, "id": task.id, "attempt": task.attempt, "of": task.max_attempts, "error": task.error}
    match state:
        case TaskState.DEAD:
            recorder.tasks_ended(task.name, "dead")
            logger.error("task dead", extra={"fields": fields})
        case TaskState.CANCELLED:
            recorder.tasks_ended(task.name, "cancelled")
            logger.info("task cancelled while it ran", extra={"fields": fields})
        case _:
            recorder.tasks_ended(task.name, "timed_out")
            logger.warning("task failed: it is tried again", extra={"fields": fields})
