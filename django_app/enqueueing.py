"""The statements that write tasks. The caller's transaction decides whether they ever were."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgsupervise.partitions.buckets import bucket_of, random_bucket, spread_buckets

from .bulk import copy_rows, write_connection
from .models import Task
from .task_options import TaskOptions
from .times import is_near
from .waking import WAKING, wake, waking

T = TypeVar("T")

_COLUMNS = "bucket, name, key, args, kwargs, priority, max_attempts"
_VALUES = "%s, %s, %s, %s::jsonb, %s::jsonb, %s, %s"
_INSERT_READY = f"INSERT INTO pgsupervise_task ({_COLUMNS}) VALUES ({_VALUES}) RETURNING id"  # noqa: S608 - constants
_INSERT_WAKING = f"{_INSERT_READY}, {WAKING}"
# Whether the time has come is for the database's clock to say: a row with a time of its own begins as SCHEDULED.
_INSERT_AT = (
    f"INSERT INTO pgsupervise_task ({_COLUMNS}, state, run_at) "  # noqa: S608 - constants
    f"VALUES ({_VALUES}, 'SCHEDULED', %s) RETURNING id"
)
_INSERT_IN = (
    f"INSERT INTO pgsupervise_task ({_COLUMNS}, state, run_at) "  # noqa: S608 - constants
    f"VALUES ({_VALUES}, 'SCHEDULED', now() + %s) RETURNING id"
)
_COPY_READY = f"COPY pgsupervise_task ({_COLUMNS}) FROM STDIN"
_COPY_AT = f"COPY pgsupervise_task ({_COLUMNS}, state, run_at) FROM STDIN"


def insert_task(name: str, options: TaskOptions, args: str, kwargs: str) -> int:
    """Write one task whose arguments are JSON already, and return its id."""
    key, run_at = options.key, options.run_at
    bucket = bucket_of(key) if key else random_bucket()
    values: list[Any] = [bucket, name, key, args, kwargs, options.priority, options.max_attempts]
    connection = write_connection(Task)
    if run_at is not None:
        statement = _INSERT_IN if isinstance(run_at, timedelta) else _INSERT_AT
        task_id = _insert(connection, statement, [*values, run_at])
        if is_near(run_at):
            wake(connection, [bucket])
        return task_id
    if not connection.in_atomic_block:
        return _insert(connection, _INSERT_WAKING, [*values, *waking(bucket)])
    task_id = _insert(connection, _INSERT_READY, values)
    wake(connection, [bucket])
    return task_id


def _insert(connection: BaseDatabaseWrapper, statement: str, values: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        task_id: int = cursor.fetchone()[0]
    return task_id


def copy_tasks(name: str, options: TaskOptions, calls: Iterable[T], encode: Callable[[T], tuple[str, str, str]]) -> int:
    """Write many tasks and return how many; `encode` gives a call's key and its arguments as JSON."""
    connection = write_connection(Task)
    ends: tuple[Any, ...] = (options.priority, options.max_attempts)
    statement = _COPY_READY
    if options.run_at is not None:
        ends = (*ends, "SCHEDULED", _time_of(connection, options.run_at))
        statement = _COPY_AT

    buckets: set[int] = set()
    spread = spread_buckets()

    def row_of(call: T) -> Sequence[Any]:
        key, args, kwargs = encode(call)
        bucket = bucket_of(key) if key else next(spread)
        buckets.add(bucket)
        return (bucket, name, key, args, kwargs, *ends)

    with transaction.atomic(using=connection.alias):
        copied = copy_rows(connection, statement, calls, row_of)
        if copied and (options.run_at is None or is_near(options.run_at)):
            wake(connection, buckets)
    return copied


def _time_of(connection: Any, run_at: datetime | timedelta) -> str:
    if isinstance(run_at, datetime):
        return run_at.isoformat()
    with connection.cursor() as cursor:
        cursor.execute("SELECT (now() + %s)::text", [run_at])
        time: str = cursor.fetchone()[0]
    return time
