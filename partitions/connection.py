"""Connections of the processes: named for what they do, and soon aware of a peer that is gone."""

from collections.abc import Mapping
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

# A server that goes down, crashes, starts or closes an idle session, or that has no place for one more.
_LOST_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
_PASSING_STATES = frozenset({"55P03", "57014"})
_PASSING_CLASSES = frozenset({"40", "53"})


def connect(conninfo: Mapping[str, Any], role: str, *, patience_seconds: int = 5) -> Connection:
    """Open an autocommit connection; `role` shows in pg_stat_activity.

    `patience_seconds` bounds connecting and how long sent data may stay unacknowledged over TCP. Raises
    psycopg.OperationalError when the database is down, unreachable or refuses the login.
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
    return psycopg.connect(autocommit=True, **settings)


def is_lost(error: BaseException) -> bool:
    """Return whether an error means that the connection, not the statement, has failed.

    The class alone does not tell: psycopg calls a full disk, a lock timeout and a value beyond a limit operational too.
    Opening another connection would cure none of them, and repeat the last one for ever.
    """
    if isinstance(error, psycopg.InterfaceError):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    # libpq itself reports a broken or refused connection, and knows no SQLSTATE.
    return error.sqlstate is None or error.sqlstate.startswith("08") or error.sqlstate in _LOST_STATES


def is_passing(error: BaseException) -> bool:
    """Return whether the same statement may succeed later on the same connection.

    So for a serialization failure or deadlock, a lock that was not to be had, a cancelled statement, and a server short
    of memory or disk.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None or is_lost(error):
        return False
    return error.sqlstate in _PASSING_STATES or error.sqlstate[:2] in _PASSING_CLASSES
