"""Runs a claimed task and says what became of it."""

import asyncio
import inspect
import threading
import traceback
from collections.abc import Sequence
from contextvars import copy_context
from typing import Any

from asgiref.sync import async_to_sync
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed, TaskOutcome

from .task_registry import registry
from .texts import one_line

MAX_ERROR = 1000
MAX_TRACEBACK = 20_000
# A task that exits, is interrupted or cancelled has failed by itself: the worker and the tasks behind it have not.
FAILURES = (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError)


def task_names() -> Sequence[str]:
    """Return the names of the tasks that this project can run."""
    return sorted(registry)


def run_task(claimed: ClaimedTask) -> TaskOutcome:
    """Call the task's function in the calling thread. What it returns is dropped, what it raises is `Failed`."""
    try:
        # In a context of its own: a language or time zone that the task activates does not reach the next task.
        copy_context().run(_call, claimed)
    except FAILURES as error:
        return Failed(error=_summary(error), traceback=_history(error))
    finally:
        _tidy_connections()
    return Done()


def _call(claimed: ClaimedTask) -> None:
    task = registry.get(claimed.name)
    if task is None:
        raise LookupError(f"no task is named {claimed.name!r} here: deploy the code that declares it to this worker")
    result: Any = task.function(*claimed.args, **claimed.kwargs)
    if inspect.iscoroutine(result):
        async_to_sync(_finish)(result)


async def _finish(coroutine: Any) -> None:
    await coroutine


class _Opened(threading.local):
    """The connections that this thread has opened: Django's own list of them takes longer than a small task."""

    def __init__(self) -> None:
        self.connections: list[BaseDatabaseWrapper] = []


_opened = _Opened()


@receiver(connection_created)
def _remember(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection not in _opened.connections:
        _opened.connections.append(connection)


def _tidy_connections() -> None:
    """Close connections that the task left broken or with autocommit off; the others serve the next task."""
    for connection in _opened.connections:
        connection.close_if_unusable_or_obsolete()


def _summary(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:  # a faulty __str__ of the project's own exception
        message = "(its message cannot be shown)"
    return one_line(_storable(f"{type(error).__name__}: {message}"))[:MAX_ERROR]


def _history(error: BaseException) -> str:
    # The first two frames are ours and the same for every task.
    frames = error.__traceback__
    for _ in range(2):
        frames = frames.tb_next if frames is not None and frames.tb_next is not None else frames
    text = "".join(traceback.format_exception(type(error), error, frames))
    return _storable(text)[-MAX_TRACEBACK:]


def _storable(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold: NUL characters and lone surrogates."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
