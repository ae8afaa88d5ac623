"""A worker: tasks in the main thread, notifications in the flusher, the beat beside them."""

import logging
import threading

from .beat import Beat
from .child import end_on_failure, register
from .context import ChildContext, WorkerContext
from .exits import ExitCode
from .flusher import Flusher
from .ownership import Ownership
from .task_loop import TaskLoop
from .watch import Watch

logger = logging.getLogger(__name__)


def run_worker(child: ChildContext) -> int:
    """Serve the worker's share of the buckets until it drains; return the exit code."""
    context = WorkerContext(
        config=child.config,
        project=child.project,
        supervisor_id=child.supervisor_id,
        parent_pid=child.parent_pid,
        kind=child.kind,
        slot=child.slot,
        board=child.board,
        common=child.common,
        channels=child.channels,
        wake_parent=child.wake_parent,
        inbox=child.inbox,
        id=child.id,
        draining=child.draining,
        ownership=Ownership(child.config.fence_after),
    )
    if not register(context):
        return ExitCode.OK
    beat, flusher, watch = Beat(context), Flusher(context), Watch(context)
    for thread in (beat, flusher, watch):
        end_on_failure(thread)
        thread.start()
    TaskLoop(context).run()
    context.project.close_connections()
    _join(flusher)
    context.work_ended.set()
    context.attention.set()
    beat.wake()
    _join(beat)
    _join(watch)
    logger.info("drained")
    return ExitCode.OK


def _join(thread: threading.Thread) -> None:
    # No deadline of its own: the parent kills a child that exceeds the drain timeout.
    thread.join()
