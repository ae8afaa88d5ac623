"""Runs a claimed task and says what became of it."""

import inspect
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any, NoReturn

from asgiref.sync import async_to_sync
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from psycopg.pq import TransactionStatus

from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed, TaskOutcome
from pgsupervise.supervisor.project import TaskSpec

from .task_registry import registry
from .texts import one_line

logger = logging.getLogger(__name__)
MAX_ERROR = 1000
MAX_TRACEBACK = 20_000
# As plain numbers: comparing with an enum's members takes several times longer.
IDLE, BROKEN = int(TransactionStatus.IDLE), int(TransactionStatus.UNKNOWN)


def task_specs() -> Mapping[str, TaskSpec]:
    """Return the tasks that this project can run, by name."""
    return {name: TaskSpec() for name in sorted(registry)}


def run_task(claimed: ClaimedTask) -> TaskOutcome:
    """Call the task's function in the calling thread. What it returns is dropped, what it raises is `Failed`.

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
    left_open = _tidy_connections()
    return failed or (_left_open(left_open) if left_open else Done())


def _call(claimed: ClaimedTask) -> None:
    task = registry.get(claimed.name)
    if task is None:
        raise LookupError(f"no task is named {claimed.name!r} here: deploy the code that declares it to this worker")
    args, kwargs = _decode("args", claimed.args_json), _decode("kwargs", claimed.kwargs_json)
    worker = os.getpid()
    try:
        result: Any = task.function(*args, **kwargs)
        if inspect.iscoroutine(result):
            async_to_sync(_finish)(result, worker)
    finally:
        if os.getpid() != worker:
            _end_fork(sys.exception())


async def _finish(coroutine: Any, worker: int) -> None:
    try:
        await coroutine
    finally:
        # A fork has this thread, the event loop's, and no other: nobody would fetch the result in `_call`.
        if os.getpid() != worker:
            _end_fork(sys.exception())


def _decode(column: str, text: str) -> Any:
    try:
        return json.loads(text)
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


class _Opened(threading.local):
    """The connections that this thread has opened: Django's own list of them takes longer than a small task."""

    def __init__(self) -> None:
        self.connections: list[BaseDatabaseWrapper] = []


_opened = _Opened()


@receiver(connection_created)
def _remember(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection not in _opened.connections:
        _opened.connections.append(connection)


def _tidy_connections() -> list[str]:
    """Close connections that do not serve the next task as they are; return the aliases with an open transaction."""
    return [connection.alias for connection in _opened.connections if _tidy(connection)]


def _tidy(connection: BaseDatabaseWrapper) -> bool:
    left_open = False
    try:
        status = _transaction_status(connection)
        if connection.in_atomic_block or status != IDLE:
            # Whether a transaction broke with the connection is for the task to have noticed.
            left_open = connection.in_atomic_block or status != BROKEN
            # Inside a block close() keeps the connection for the block's end, which never comes. What else there is
            # of the block, connect() resets.
            connection.in_atomic_block = connection.closed_in_transaction = False
            connection.close()
        else:
            connection.close_if_unusable_or_obsolete()
    except BaseException as error:  # the task has ended: nothing about its connections is worth the worker
        connection.connection = None
        logger.warning(
            "a connection could not be tidied: dropped",
            extra={"fields": {"database": connection.alias, "error": type(error).__name__}},
        )
    return left_open


def _transaction_status(connection: BaseDatabaseWrapper) -> int:
    """Return what libpq knows without asking the server. Only Django's own state tells it for other databases."""
    if connection.connection is None or connection.vendor != "postgresql":
        return IDLE
    status: int = connection.connection.pgconn.transaction_status
    return status


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
        # The first two frames are ours and the same for every task.
        frames = error.__traceback__
        for _ in range(2):
            frames = frames.tb_next if frames is not None and frames.tb_next is not None else frames
        return _storable("".join(traceback.format_exception(type(error), error, frames)))[-MAX_TRACEBACK:]
    except BaseException:  # formatting asks the exception for its notes, causes and message
        return "(its traceback cannot be shown)"


def _storable(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold: NUL characters and lone surrogates."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
