"""Connections of the processes: named for what they do, and soon aware of a peer that is gone."""

from collections.abc import Mapping
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


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
    """Return whether an error means that the connection, not the statement, has failed."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
