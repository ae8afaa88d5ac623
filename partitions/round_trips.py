"""Transactions whose statements are sent together: what decides nothing about the next one is not waited for."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.pq import TransactionStatus

from .connection import Connection, is_direct
from .statements import load


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """Begin a transaction and commit it at the end; only fetching a result waits for the server.

    Whatever the block raises, nothing is written: without a BEGIN the end of the pipeline would commit what was sent.

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
        # The server skips what was sent behind a failed statement, the COMMIT too: it still is in that transaction. And
        # rolling back makes psycopg forget what it takes for prepared behind that statement.
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            connection.rollback()
        raise
