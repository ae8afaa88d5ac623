"""When a running task has to be ended by force, and how its process makes itself ready to be killed for it.

Python offers no way to stop a thread, so a task is ended with its process. What else the process holds must not suffer:
the messages that are being sent are finished, and the results of the tasks that have ended are written down, before the
parent kills it. The neighbours of the chunk that have not begun go back with the reclaim.
"""

import logging
import time

from .board import BoardRow, Doom
from .context import WorkerContext
from .link import Link

logger = logging.getLogger(__name__)
ANSWER_SECONDS = 2.0
"""A child that has not begun to prepare itself so long after a deadline is stuck as a whole: it is killed as it is."""
PREPARE_SECONDS = 15.0
"""How long it may prepare itself, beyond the longest call of a channel."""
LOCK_SECONDS = 0.5


class Deadlines:
    """The child's side, looked at by the watch; the main thread is the one that is stuck."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._preparing = 0

    @property
    def is_near(self) -> bool:
        """Whether the process is preparing itself: look again soon."""
        return self._preparing != 0

    def look(self, link: Link) -> None:
        """Begin to prepare, say that all is ready, or forget it where the task has ended by itself."""
        run, board = self._context.board.run, self._context.board
        why = self._why(run.task, run.deadline)
        if self._preparing and (why is None or run.number != self._preparing):
            self._relent()
        if why is None:
            return
        if not self._preparing:
            self._preparing = run.number
            self._context.holding.set()
            board.prepare(run.number)
            logger.warning("ending a task", extra={"fields": {"task": run.task, "why": why.name.lower()}})
        if self._context.sending == 0:
            if self._context.results:
                self._context.results.write(link.connection, LOCK_SECONDS)
            board.doom(run.number, why)
            self._context.wake_parent()

    def _why(self, task: int, deadline: float) -> Doom | None:
        if task and task in self._context.cancelled:
            return Doom.CANCELLED
        return Doom.TIMEOUT if deadline and time.monotonic() >= deadline else None

    def _relent(self) -> None:
        self._preparing = 0
        self._context.board.prepare(0)
        self._context.holding.clear()


def verdict(board: BoardRow, prepare_seconds: float) -> tuple[int, Doom] | None:
    """Return the run for which a child is to be killed now, and why. The parent's side."""
    run, doomed = board.run, board.doomed
    if doomed and doomed[0] == run.number and run.task:
        return doomed
    late = time.monotonic() - run.deadline if run.task and run.deadline else 0.0
    patience = prepare_seconds if board.preparing == run.number else ANSWER_SECONDS
    return (run.number, Doom.TIMEOUT) if late > patience else None
