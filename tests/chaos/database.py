"""The suite's own sessions, straight to the database: they bear with its absence."""

from collections.abc import Sequence
from typing import Any

import psycopg

Row = tuple[Any, ...]


class Session:
    """An autocommit connection that is opened anew when it was lost. Used by one thread."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: psycopg.Connection[Row] | None = None

    def ask(self, statement: str, *parameters: Any) -> list[Row] | None:
        """Return the rows, or None where the database is away."""
        try:
            return self.demand(statement, *parameters)
        except psycopg.OperationalError:
            self.close()
            return None

    def demand(self, statement: str, *parameters: Any) -> list[Row]:
        """Return the rows. Raises psycopg.OperationalError where the database is away."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._dsn, autocommit=True, application_name=f"chaos {self._name}")
        cursor = self._connection.execute(statement.encode(), _given(parameters))
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _given(parameters: Sequence[Any]) -> Sequence[Any] | None:
    return parameters or None
