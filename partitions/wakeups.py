"""Wake-ups: who enqueues a task tells the bucket's owner when it sleeps, and only then.

A sleeping owner holds the bucket's advisory lock. Who enqueues tries to share it: when that fails the owner sleeps and
is notified with the commit; when it succeeds the share is kept until the commit, and the owner cannot fall asleep
before it has seen the task. So nothing is missed, nobody waits, and a busy owner costs its enqueuers no NOTIFY, whose
commits would queue behind one lock of the whole server.

Advisory locks and LISTEN are the session's: behind a pooler an owner does not sleep, but looks at intervals.
"""

from collections.abc import Collection

from psycopg import sql

from .connection import Connection
from .statements import load

LOCK_CLASS = 0x70677376
"""First half of the locks' keys ("pgsv"), the bucket is the second; other software must not use the same."""
CHANNEL = "pgsupervise_task_"
"""With the bucket's number behind it: a notification wakes the session of one worker only."""


def listen(connection: Connection, buckets: Collection[int]) -> None:
    """Listen for tasks of these buckets and of no other."""
    statements: list[sql.Composable] = [sql.SQL("UNLISTEN *")]
    statements += [sql.SQL("LISTEN {}").format(sql.Identifier(f"{CHANNEL}{bucket}")) for bucket in buckets]
    connection.execute(sql.SQL("; ").join(statements), prepare=False)


def fall_asleep(connection: Connection, buckets: Collection[int]) -> bool:
    """Let enqueuers know that they have to wake this session; False where one of them has not committed yet.

    What they committed before is visible to every later statement: look once more before you sleep.
    """
    row = connection.execute(load("fall_asleep"), {"lock": LOCK_CLASS, "buckets": list(buckets)}).fetchone()
    if row is not None and row[0] == len(buckets):
        return True
    wake_up(connection)
    return False


def wake_up(connection: Connection) -> None:
    """Let enqueuers know that they need not wake this session."""
    connection.execute(load("wake_up"))


def bucket_of_channel(channel: str) -> int:
    """Return the bucket that a notification is about."""
    return int(channel.removeprefix(CHANNEL))
