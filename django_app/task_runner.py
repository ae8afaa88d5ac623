"""Runs a claimed task and says what became of it."""

import inspect
import json
import os
import sys
import traceback
from collections.abc import Mapping
from contextvars import copy_context
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn

from asgiref.sync import async_to_sync

from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed, TaskOutcome
from pgsupervise.supervisor.project import TaskSpec

from .soft_timeout import await_within, call_within
from .task_connections import cut_statements_off, tidy_connections
from .task_registry import registry
from .texts import one_line

MAX_ERROR = 1000
MAX_TRACEBACK = 20_000
_DONE = Done()
_scan = json.JSONDecoder().raw_decode


def task_specs() -> Mapping[str, TaskSpec]:
    """Return the tasks that this project can run, by name."""
    return {
        name: TaskSpec(hard_timeout=task.limits.hard_timeout, retry_timeout=task.limits.retry_timeout)
        for name, task in sorted(registry.items())
    }


def run_task(claimed: ClaimedTask) -> TaskOutcome:
    """Call the task's function in the calling thread. What it returns is dropped, what it raises is `Failed`.

    A task's soft timeout is watched here: that of an async task in any thread, that of another one in the process's
    main thread only, since no other can be interrupted.

    A process that the task forked, and that returns from the task as its parent does, ends here.
    """
    failed: Failed | None = None
    try:
        # In a context of its own: a language or time zone that the task activates does not reach the next task.
        copy_context().run(_call, claimed)
    except BaseException as error:
        # A task that exits or is interrupted has failed by itself: the worker and the tasks behind it have not.
        failed = Failed(error=_summary(error), traceback=_history(error))
    # After the exception is gone, and with it the frames whose blocks end by being collected.
    left_open = tidy_connections()
    return failed or (_left_open(left_open) if left_open else _DONE)


def _call(claimed: ClaimedTask) -> None:
    task = registry.get(claimed.name)
    if task is None:
        raise LookupError(f"no task is named {claimed.name!r} here: deploy the code that declares it to this worker")
    args, kwargs = _decode("args", claimed.args_json), _decode("kwargs", claimed.kwargs_json)
    worker = os.getpid()
    soft = task.limits.soft_timeout
    try:
        result: Any
        if soft is None:
            result = task.function(*args, **kwargs)
        else:
            result = call_within(soft, cut_statements_off, task.function, args, kwargs)
        if inspect.iscoroutine(result):
            async_to_sync(_finish)(result, worker, soft)
    finally:
        if os.getpid() != worker:
            _end_fork(sys.exception())


async def _finish(coroutine: Any, worker: int, soft: timedelta | None) -> None:
    try:
        if soft is None:
            await coroutine
        else:
            await await_within(soft, coroutine)
    finally:
        # A fork has this thread, the event loop's, and no other: nobody would fetch the result in `_call`.
        if os.getpid() != worker:
            _end_fork(sys.exception())


def _decode(column: str, text: str) -> Any:
    try:
        # As the server writes jsonb: nothing before or behind the value, for which json.loads() would look.
        return _scan(text)[0]
    except (RecursionError, ValueError) as error:  # jsonb holds deeper nesting and longer numbers than Python reads
        raise ValueError(f"{column} cannot be read: {error}; enqueue the task again with simpler arguments") from error


def _end_fork(error: BaseException | None) -> NoReturn:
    """End the process at once: the worker's loop, exit handlers and connections are its parent's."""
    status = 1
    try:
        code = error.code if isinstance(error, SystemExit) else error
        status = 0 if code is None else code & 0xFF if isinstance(code, int) else 1
    finally:
        os._exit(status)


def _left_open(aliases: list[str]) -> Failed:
    error = (
        f"the task left a transaction open on {', '.join(map(repr, aliases))}: its writes were rolled back; "
        "commit what it begins, or use atomic() in a with statement"
    )
    return Failed(error=error, traceback="")


def _summary(error: BaseException) -> str:
    name = type.__dict__["__name__"].__get__(type(error))  # past a metaclass that says otherwise
    try:
        message = str(error)
        return one_line(_storable(f"{name}: {message}"))[:MAX_ERROR]
    except BaseException:  # a faulty __str__ of the project's own exception
        return one_line(_storable(f"{name}: (its message cannot be shown)"))[:MAX_ERROR]


def _history(error: BaseException) -> str:
    try:
        frames = _frames_of_task(error.__traceback__)
        return _storable("".join(traceback.format_exception(type(error), error, frames)))[-MAX_TRACEBACK:]
    except BaseException:  # formatting asks the exception for its notes, causes and message
        return "(its traceback cannot be shown)"


def _frames_of_task(frames: TracebackType | None) -> TracebackType | None:
    """Return the traceback without its first frames, which are ours and the same for every task."""
    ours = (run_task.__code__, _call.__code__, call_within.__code__)
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code in ours:
        frames = frames.tb_next
    return frames


def _storable(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold: NUL characters and lone surrogates."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
