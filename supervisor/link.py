"""A loop's connection that outlives the database: opened on demand, dropped when lost, retried with backoff."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any

from pgsupervise.metrics import recorder
from pgsupervise.partitions.backoff import RECONNECT
from pgsupervise.partitions.connection import Connection, connect, is_lost, is_passing

logger = logging.getLogger(__name__)
ANSWER_SECONDS = 60.0
"""A statement that has not been answered for so long will not be: its connection is given up."""


class Link:
    """`with link.guard(): ...` runs a step; a lost connection is dropped and the next step opens another one.

    `pause` is called with the seconds to wait after a loss; it should return early when the process drains.
    """

    def __init__(
        self,
        conninfo: Mapping[str, Any],
        role: str,
        pause: Callable[[float], None],
        patience: timedelta,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._conninfo = conninfo
        self._role = role
        self._pause = pause
        self._patience = max(1, int(patience.total_seconds()))
        self._answer = answer_seconds
        self._connection: Connection | None = None
        self._failures = 0

    @property
    def connection(self) -> Connection:
        """The open connection. Raises psycopg.OperationalError when the database cannot be reached."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._conninfo, self._role, patience_seconds=self._patience, answer_seconds=self._answer
            )
        return self._connection

    def guard(self) -> "Link":
        """Return the context in which a step may lose the database without ending its loop."""
        return self

    def __enter__(self) -> "Link":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            if self._connection is None:
                return False  # nothing was asked: that says nothing about the database
            if self._failures:
                logger.info("database back", extra={"fields": {"loop": self._role, "after_failures": self._failures}})
            self._failures = 0
            return False
        lost = is_lost(error)
        if not lost and not is_passing(error):
            return False
        self._failures += 1
        if lost:
            self.close()
        recorder.database_error(self._role.split()[0])
        fields = {"loop": self._role, "failures": self._failures, "error": str(error).strip().splitlines()[0]}
        logger.warning("database lost" if lost else "database busy", extra={"fields": fields})
        self._pause(RECONNECT.delay(self._failures).total_seconds() + 0.05)
        return True

    def close(self) -> None:
        """Close the connection if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
