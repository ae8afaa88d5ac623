"""The archive's day partitions: made ahead of time, dropped when they are old enough.

Every task that ends is inserted into the archive, so nothing here may wait for a lock: who waits for ACCESS EXCLUSIVE
stops all that come after him. Each change is a short transaction that gives up when a report or a dump is in its way;
the caller comes back in minutes, and there are days of partitions left.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta

from psycopg import errors, sql

from .connection import Connection
from .statements import load

PREFIX = "pgsupervise_finishedtask_"
DAYS_AHEAD = 7
CHUNK = 10_000

# LIKE copies the columns as they are now, whatever migrations did to them since the last partition was made.
_CREATE = """CREATE TABLE {} (
    LIKE pgsupervise_finishedtask INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STORAGE
)"""
_ATTACH = "ALTER TABLE pgsupervise_finishedtask ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})"


def create_finished_partitions(connection: Connection) -> list[str]:
    """Make the partitions of the coming days that are missing; return the names of those made.

    Gives up, with what it has made so far, when somebody holds a lock in its way. Today's is not made here: its rows
    may already lie in the default partition, which PostgreSQL would refuse.
    """
    present, today = _partitions(connection)
    made = []
    with suppress(errors.LockNotAvailable):
        for ahead in range(1, DAYS_AHEAD + 1):
            day = today + timedelta(days=ahead)
            if _name(day) not in present and _make(connection, day):
                made.append(_name(day))
    return made


def drop_finished_partitions(connection: Connection, keep: timedelta) -> list[str]:
    """Drop the days that ended more than `keep` ago; return the names of those dropped. The default partition stays.

    Gives up, with what it has dropped so far, when somebody holds a lock in its way.
    """
    present, today = _partitions(connection)
    oldest = _name(today - keep - timedelta(days=1))
    dropped = []
    with suppress(errors.LockNotAvailable):
        for name in sorted(name for name in present if name.removeprefix(PREFIX).isdigit() and name < oldest):
            # This takes ACCESS EXCLUSIVE on the whole archive, if only for a moment. DETACH ... CONCURRENTLY would not,
            # but PostgreSQL refuses it to a table that has a default partition.
            with _without_waiting(connection):
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
            dropped.append(name)
    return dropped


def delete_finished_default(connection: Connection, keep: timedelta, limit: int = CHUNK) -> int:
    """Delete rows that ended more than `keep` ago from the default partition; return how many.

    At most `limit`, so that it takes no time to speak of: when it returns that many, call it again soon.
    """
    with suppress(errors.LockNotAvailable), _without_waiting(connection):
        parameters = {"keep": keep.total_seconds(), "limit": limit}
        return connection.execute(load("delete_finished_default"), parameters).rowcount
    return 0


def _make(connection: Connection, day: date) -> bool:
    """Make one day's partition; return False when it cannot be or need not be made.

    CREATE TABLE ... PARTITION OF takes ACCESS EXCLUSIVE on the archive. A table of its own that is attached takes SHARE
    UPDATE EXCLUSIVE there, which stops no INSERT, and ACCESS EXCLUSIVE on the default partition only.
    """
    name = sql.Identifier(_name(day))
    bounds = (sql.Literal(f"{day} 00:00Z"), sql.Literal(f"{day + timedelta(days=1)} 00:00Z"))
    try:
        with _without_waiting(connection):
            # What ATTACH takes anyway, but before the look: so a keeper that lost its seat cannot make it twice.
            connection.execute("LOCK TABLE ONLY pgsupervise_finishedtask IN SHARE UPDATE EXCLUSIVE MODE")
            if _name(day) in _partitions(connection)[0]:
                return False
            connection.execute(sql.SQL(_CREATE).format(name))
            connection.execute(sql.SQL(_ATTACH).format(name, *bounds))
    except errors.CheckViolation:
        # The default partition has rows of that day, written when the server's clock was wrong: it keeps the day.
        return False
    return True


@contextmanager
def _without_waiting(connection: Connection) -> Iterator[None]:
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '200ms'")
        # Stopped in here it must not keep everybody from finishing tasks.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = '3s'")
        yield


def _name(day: date) -> str:
    return f"{PREFIX}{day:%Y%m%d}"


def _partitions(connection: Connection) -> tuple[set[str], date]:
    rows = connection.execute(load("finished_partitions")).fetchall()
    return {row[0] for row in rows}, rows[0][1]
