"""How a worker without work sleeps: until somebody who enqueues wakes it."""

from collections import deque
from collections.abc import Collection

from psycopg import Notify

from pgsupervise.partitions import wakeups
from pgsupervise.partitions.connection import Connection, is_direct


class Sleep:
    """Whether enqueuers know that the worker sleeps, and what they have told it.

    State of one session: with another connection it starts anew.
    """

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._listens: Collection[int] = ()
        self._locks: Collection[int] = ()
        self._heard: deque[int] = deque()

    def is_deep(self, connection: Connection) -> bool:
        """Whether each task that comes will be heard of."""
        return self._connection is connection and bool(self._locks)

    def covers(self, connection: Connection, buckets: Collection[int]) -> bool:
        """Return whether that is so for these buckets and no others."""
        return self.is_deep(connection) and self._locks == buckets

    def begin(self, connection: Connection, buckets: Collection[int]) -> bool:
        """Fall asleep for tasks of these buckets; False where that cannot be, now or ever."""
        if not is_direct(connection) or not buckets:
            return False
        if connection is not self._connection:
            self._connection, self._listens, self._locks = connection, (), ()
            connection.add_notify_handler(self._notified)
        if self._locks != buckets:
            self.end(connection)
            if self._listens != buckets:
                wakeups.listen(connection, buckets)
                self._listens = buckets
            if wakeups.fall_asleep(connection, buckets):
                self._locks = buckets
        return bool(self._locks)

    def end(self, connection: Connection) -> None:
        """Tell enqueuers that the worker looks for itself."""
        if self.is_deep(connection):
            wakeups.wake_up(connection)
            self._locks = ()

    def heard(self, connection: Connection) -> list[int]:
        """Return the buckets for which tasks have come, without waiting."""
        pgconn = connection.pgconn
        pgconn.consume_input()
        while notification := pgconn.notifies():
            self._heard.append(wakeups.bucket_of_channel(notification.relname.decode()))
        found = list(dict.fromkeys(self._heard))
        self._heard.clear()
        return found

    def _notified(self, notification: Notify) -> None:
        """Keep what arrives together with the answer to a statement."""
        self._heard.append(wakeups.bucket_of_channel(notification.channel))
