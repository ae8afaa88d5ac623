"""A database that lives as long as one replay."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgsupervise.django_app import embedded

PREFIX = "pgsupervise_replay_"

_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
_ABANDONED = """
SELECT datname FROM pg_database
WHERE starts_with(datname, %s) AND pg_try_advisory_lock(hashtextextended(datname, 0))
"""


@contextmanager
def fresh_database(server_dsn: str | None) -> Iterator[str]:
    """Create an empty database, on the embedded server unless another one is given, and drop it at the end."""
    if server_dsn is not None:
        with _created(server_dsn) as dsn:
            yield dsn
        return
    with embedded.start() as server:
        drop_abandoned(server.dsn())
        with _created(server.dsn()) as dsn:
            yield dsn


@contextmanager
def _created(server_dsn: str) -> Iterator[str]:
    name = PREFIX + secrets.token_hex(6)
    with psycopg.connect(server_dsn, autocommit=True, application_name="pgsupervise replay") as maintenance:
        # Held by this session until its end, whatever that is: so others see that the database is in use.
        maintenance.execute(_LOCK, [name])
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_conninfo(server_dsn, dbname=name)
        finally:
            maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def drop_abandoned(server_dsn: str) -> None:
    """Drop what replays left behind that were killed before they could."""
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        for (name,) in connection.execute(_ABANDONED, [PREFIX]).fetchall():
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
