"""A transaction whose statements are sent together: what decides nothing about the next one is not waited for."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.pq import TransactionStatus

from .connection import Connection


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """Begin a transaction and commit it at the end; only fetching a result waits for the server.

    An error of a statement may be raised as late as at the end of the block. Then nothing was written.
    """
    try:
        with connection.pipeline(), connection.transaction():
            yield
    except BaseException:
        # The server skips what was sent behind a failed statement, the COMMIT too: it still is in that transaction.
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            connection.rollback()
        raise
