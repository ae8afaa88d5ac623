"""Many rows at once by COPY, on Django's own connection and in the caller's transaction."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.apps import apps
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

T = TypeVar("T")
CHUNK = 10_000


def write_connection(model: type[models.Model]) -> BaseDatabaseWrapper:
    """Return Django's connection on which the project writes this model.

    Raises RuntimeError while the project is being imported: a call at the top of a module would write at every start
    of every command.
    """
    if not apps.ready:
        raise RuntimeError(
            "enqueue(), notify() or cancel() was called while the project was being imported, so every start would do "
            "it again: call it from a view or another function, not at the top of a module"
        )
    return connection_of(model)


def connection_of(model: type[models.Model]) -> BaseDatabaseWrapper:
    """Return the same, also for who looks at a project that does not load."""
    return connections[router.db_for_write(model)]


def has_failed(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the open transaction takes no more statements and will be rolled back."""
    if connection.needs_rollback or connection.connection is None:
        return True
    return bool(connection.connection.info.transaction_status == TransactionStatus.INERROR)


def copy_rows(
    connection: BaseDatabaseWrapper, statement: str, items: Iterable[T], row_of: Callable[[T], Sequence[Any]]
) -> int:
    """Copy one row for each item and return how many; all or none, also where the caller catches an error.

    `items` may be a generator that queries the same connection: a chunk of items is drawn before its COPY begins.
    `row_of` is called while the server already takes in the rows before, so it must not touch the database.
    """
    copied = 0
    iterator = iter(items)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        while chunk := list(islice(iterator, CHUNK)):
            with connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in map(row_of, chunk):
                    copy.write_row(row)
            copied += len(chunk)
    return copied
