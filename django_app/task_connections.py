"""Django's connections between two tasks: what one leaves of them must not reach the next."""

import logging
import select
import threading
import time
from contextlib import suppress
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn

logger = logging.getLogger(__name__)
# As plain numbers: comparing with an enum's members takes several times longer.
IDLE, ACTIVE, BROKEN = int(TransactionStatus.IDLE), int(TransactionStatus.ACTIVE), int(TransactionStatus.UNKNOWN)
COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
CANCEL_SECONDS = 1.0
"""How long the server may take to be told that a statement is to stop, and as long again to say that it has."""


class _Opened(threading.local):
    """The connections that this thread has opened: Django's own list of them takes longer than a small task.

    `suspect`: the task was interrupted, perhaps in the middle of opening another one or of a statement.
    """

    def __init__(self) -> None:
        self.connections: list[BaseDatabaseWrapper] = []
        self.suspect = False


_opened = _Opened()


@receiver(connection_created)
def _remember(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection not in _opened.connections:
        _opened.connections.append(connection)


def cut_statements_off() -> None:
    """Stop what the calling thread waits for at the server, before an exception that ends the wait is raised there.

    Never raises. The connections serve no other task, whatever becomes of this one.
    """
    _opened.suspect = True
    for connection in _opened.connections:
        if _transaction_status(connection) == ACTIVE:
            with suppress(Exception):  # then the statement runs to its end, and its connection is closed all the same
                connection.connection.cancel_safe(timeout=CANCEL_SECONDS)
                # Inside a block it stays broken, which makes the block fail also where the task catches the exception
                # before the block's end: a COMMIT of what has failed is a silent ROLLBACK.
                if not connection.in_atomic_block:
                    _drop_answer(connection.connection.pgconn)


def _drop_answer(pgconn: PGconn) -> None:
    """Read what is left of the answer to a statement, for without that the connection takes no other."""
    until = time.monotonic() + CANCEL_SECONDS
    readable = select.poll()
    readable.register(pgconn.socket, select.POLLIN)
    while (left := until - time.monotonic()) > 0:
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None or result.status in COPYING:  # psycopg itself ends a COPY, when its block is left
                return
        readable.poll(left * 1000)
        pgconn.consume_input()


def tidy_connections() -> list[str]:
    """Close connections that do not serve the next task as they are; return the aliases with an open transaction."""
    if not _opened.suspect:
        return [connection.alias for connection in _opened.connections if _tidy(connection)]
    _opened.suspect = False
    # Also one that was interrupted before it was known as open: it may be without autocommit still.
    return [connection.alias for connection in connections.all(initialized_only=True) if _tidy(connection, drop=True)]


def _tidy(connection: BaseDatabaseWrapper, *, drop: bool = False) -> bool:
    left_open = False
    try:
        status = _transaction_status(connection)
        if connection.in_atomic_block or status != IDLE:
            # Whether a transaction broke with the connection is for the task to have noticed.
            left_open = connection.in_atomic_block or status != BROKEN
            # Inside a block close() keeps the connection for the block's end, which never comes. What else there is
            # of the block, connect() resets.
            connection.in_atomic_block = connection.closed_in_transaction = False
            drop = True
        if drop:
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
