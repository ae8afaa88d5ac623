"""The watch thread: it asks nothing of the database, so that nothing there delays what cannot wait."""

import logging
import os
import threading
import time

from pgsupervise.partitions import workers

from .context import WorkerContext
from .deadlines import LOCK_SECONDS, Deadlines
from .exits import ExitCode
from .results import NEVER

logger = logging.getLogger(__name__)
LOOK_SECONDS = 0.25
NEAR_SECONDS = 0.1
LATE_SECONDS, TICK_SECONDS = 0.04, 0.01
"""How old a result may get, and how often that is looked at while there is one: it is written 50 ms late at most."""
ORPHAN_SHARE = 0.8
"""Of the time-to-dead: so long after its parent's end a child may go on with the task in hand."""
LAST_WORDS_SHARE = 0.1
"""And so long it may take to tell the database."""


class Watch(threading.Thread):
    """Looks at the running task's deadline, and whether the parent is there."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__(name="watch", daemon=True)
        self._context = context
        self._dead_after = context.config.dead_after.total_seconds()
        self._link = context.link("watch", self._pause, context.config.fence_after.total_seconds() / 2)
        self._deadlines = Deadlines(context)
        self._parent_seen = time.monotonic()
        self._leave_at: float | None = None

    def run(self) -> None:
        """Look until the work has ended."""
        while not self._context.work_ended.is_set():
            self._look_for_parent()
            with self._link.guard():
                self._deadlines.look(self._link)
                self._write_what_is_late()
            self._wait()
        self._link.close()

    def _write_what_is_late(self) -> None:
        """Write what the main thread cannot, which does so between two tasks."""
        results = self._context.results
        if time.monotonic() - results.since > LATE_SECONDS:
            results.write(self._link.connection, 0.0)

    def _wait(self) -> None:
        attention = self._context.attention
        if self._context.results.since < NEVER:
            self._pause(TICK_SECONDS)
        else:
            attention.wait(NEAR_SECONDS if self._deadlines.is_near else LOOK_SECONDS)
        attention.clear()

    def _pause(self, seconds: float) -> None:
        self._context.work_ended.wait(min(seconds, LOOK_SECONDS))

    def _look_for_parent(self) -> None:
        """Drain where the supervisor is gone: nobody would kill a stuck task, and others take it for dead soon."""
        now = time.monotonic()
        if os.getppid() == self._context.parent_pid:
            self._parent_seen = now
            return
        if self._leave_at is None:
            logger.warning("the supervisor is gone: draining")
            self._leave_at = self._parent_seen + ORPHAN_SHARE * self._dead_after
            self._context.drain()
        if now >= self._leave_at:
            self._leave()

    def _leave(self) -> None:
        logger.error("the supervisor is gone and a task does not end: ending with it")
        # However long the database takes to hear it.
        end = threading.Timer(LAST_WORDS_SHARE * self._dead_after, os._exit, [ExitCode.ORPHANED])
        end.daemon = True
        end.start()
        with self._link.guard():
            self._context.results.write(self._link.connection, LOCK_SECONDS)
            workers.bury_worker(self._link.connection, self._context.id, "orphaned", None)
        os._exit(ExitCode.ORPHANED)
