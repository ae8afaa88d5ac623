"""Django's own connection in the place of a worker's: nobody else sees the rows of a test's transaction."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import JsonbLoader

from pgsupervise.partitions.connection import Connection, Cursor


class _SharedConnection:
    """Begins, commits and rolls back as Django's `atomic` does: with savepoints where a transaction is open already."""

    prepare_threshold = 0  # not None: the server is asked directly, and the plans of its session are left as they are

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        connection.ensure_connection()
        self._django = connection
        self._atomic: AbstractContextManager[object] | None = None

    @property
    def closed(self) -> bool:
        return bool(self._django.connection.closed)

    @property
    def info(self) -> psycopg.ConnectionInfo:
        return cast(psycopg.ConnectionInfo, self._django.connection.info)

    def pipeline(self) -> AbstractContextManager[None]:
        """Return nothing: each statement is waited for, as Django waits for its own."""
        return nullcontext()

    def execute(
        self, query: str, parameters: Mapping[str, Any] | None = None, *, prepare: bool = False, binary: bool = False
    ) -> Cursor:
        begins, ends = query.startswith("BEGIN"), query == "COMMIT"
        if begins:  # at Django's own level of isolation: with one connection there is nobody to be isolated from
            self._atomic = transaction.atomic(using=self._django.alias)
            self._atomic.__enter__()
        elif ends:
            self._end(None)
        # Not one of Django's cursors: these put parameters into the text, and leave JSON undecoded.
        cursor: Cursor = psycopg.Cursor(self._django.connection)
        cursor.adapters.register_loader("jsonb", JsonbLoader)
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        if begins or ends:
            return cursor
        return cursor.execute(query.encode(), parameters, prepare=False, binary=binary)

    def rollback(self) -> None:
        self._end(psycopg.Error())

    def _end(self, error: Exception | None) -> None:
        atomic, self._atomic = self._atomic, None
        if atomic is not None:
            atomic.__exit__(None if error is None else type(error), error, None)


def shared(connection: BaseDatabaseWrapper) -> Connection:
    """Return Django's connection for the functions of `partitions`."""
    return cast(Connection, _SharedConnection(connection))
