"""Transactions whose statements are sent together: what decides nothing about the next one is not waited for."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus

from .connection import Connection, is_direct
from .statements import load


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """Begin a transaction and commit it at the end; only fetching a result waits for the server.

    Its statements look rows up by keys and in an index's order. An error of a statement may be raised as late as at
    the end of the block; then nothing was written. What they found can be fetched after the block, too.
    """
    try:
        with connection.pipeline():
            # Not psycopg's transaction(), which in a pipeline waits for the server at both ends.
            # Each statement has to see what was committed before it, whatever the server's default is.
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED", prepare=False)
            if not is_direct(connection):
                connection.execute(load("plan_by_keys"), {"local": True})
            yield
            connection.execute("COMMIT", prepare=False)
    except BaseException:
        # The server skips what was sent behind a failed statement, the COMMIT too: it still is in that transaction.
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            connection.rollback()
        raise


@contextmanager
def one_round_trip(connection: Connection) -> Iterator[None]:
    """Send the statements of the block in one go, as one transaction; the answers are there at its end.

    On an autocommit connection outside a transaction: what is sent up to the end of a pipeline is one by itself.
    """
    try:
        with connection.pipeline():
            if not is_direct(connection):
                connection.execute(load("plan_by_keys"), {"local": True})
            yield
    except psycopg.Error:
        if not connection.closed:
            # What was to be prepared behind the failed statement was not, and psycopg takes it for prepared. Rolling a
            # transaction back makes it forget all of it.
            connection.execute("BEGIN")
            connection.rollback()
        raise
