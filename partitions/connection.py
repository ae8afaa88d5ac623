"""Connections of the processes: named for what they do, and soon aware of a peer that is gone."""

import time
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from .statements import load

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]
Result = TypeVar("Result")

# A server that goes down, crashes, starts, ends a session (idle, idle in a transaction, or too long in one), has no
# place for one more, or is no longer the primary: another connection may find the one that is.
_LOST_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "25006", "53300"})
_PASSING_STATES = frozenset({"55P03", "57014"})
_PASSING_CLASSES = frozenset({"40", "53"})


class _NoAnswerError(psycopg.OperationalError):
    """Whether the statement has had its effect is not known."""


class _Impatient(psycopg.Connection[tuple[Any, ...]]):
    """Gives up waiting for an answer: a proxy on the way may take what is sent and never answer, and TCP is content."""

    answer_seconds = float("inf")

    def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        """Drive a statement, as psycopg's own does, until it is answered or time is up."""
        try:
            return super().wait(_until(gen, time.monotonic() + self.answer_seconds), *args, **kwargs)
        except _NoAnswerError:
            self.close()  # or the end of an open transaction would wait for an answer too
            raise


def _until(gen: PQGen[Result], deadline: float) -> Generator[Wait, Ready | int, Result]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            # Nothing is ready only when the interval is over, so a quick answer never costs a look at the clock.
            if not ready and time.monotonic() >= deadline:
                raise _NoAnswerError("no answer in time: the connection is given up")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: Result = end.value
        return result


def connect(
    conninfo: Mapping[str, Any], role: str, *, patience_seconds: int = 5, answer_seconds: float = float("inf")
) -> Connection:
    """Open an autocommit connection; `role` shows in pg_stat_activity.

    `patience_seconds` bounds connecting and how long sent data may stay unacknowledged over TCP, `answer_seconds` how
    long a statement may take: beyond it psycopg.OperationalError is raised and the connection is of no more use. Raises
    psycopg.OperationalError too when the database is down, unreachable or refuses the login.
    """
    settings = {
        "connect_timeout": max(2, patience_seconds),
        "tcp_user_timeout": patience_seconds * 1000,
        "keepalives_idle": patience_seconds,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        **conninfo,
        "application_name": f"pgsupervise {role}",
    }
    connection = _Impatient.connect(autocommit=True, **settings)
    connection.answer_seconds = answer_seconds
    try:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
    except BaseException:
        connection.close()
        raise
    # A pooler gives each client a pid of its own making. In transaction mode it may run what another client prepared
    # under the same name: silently, where the parameters fit.
    if row is None or row[0] != connection.info.backend_pid:
        connection.prepare_threshold = None
        return connection
    connection.execute(load("plan_by_keys"), {"local": False})
    return connection


def is_direct(connection: Connection) -> bool:
    """Return whether the session is ours alone, and so keeps its locks and what it listens to: no pooler between."""
    return connection.prepare_threshold is not None


def database_time(connection: Connection) -> datetime:
    """Return the database's clock."""
    row = connection.execute(load("database_time")).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    found: datetime = row[0]
    return found


def is_lost(error: BaseException) -> bool:
    """Return whether an error means that the connection, not the statement, has failed.

    The class alone does not tell: psycopg calls a full disk, a lock timeout and a value beyond a limit operational too.
    Opening another connection would cure none of them, and repeat the last one for ever.
    """
    if isinstance(error, psycopg.InterfaceError):
        return True
    if isinstance(error, psycopg.Error) and error.sqlstate in _LOST_STATES:
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    # libpq itself reports a broken or refused connection, and knows no SQLSTATE.
    return error.sqlstate is None or error.sqlstate.startswith("08")


def is_passing(error: BaseException) -> bool:
    """Return whether the same statement may succeed later on the same connection.

    So for a serialization failure or deadlock, a lock that was not to be had, a cancelled statement, and a server short
    of memory or disk.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None or is_lost(error):
        return False
    return error.sqlstate in _PASSING_STATES or error.sqlstate[:2] in _PASSING_CLASSES
