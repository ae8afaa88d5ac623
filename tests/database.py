"""The tests' databases: where they come from, how Django is pointed at one, and how one is emptied."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgsupervise.django_app import embedded

DATABASE = "pgsupervise_test"
# Without fsync, which is faster: a killed server still loses nothing that was committed, only a stopped machine does.
SETTINGS = {"fsync": "off"}

# What the migrations put there stays.
KEPT = ["django_migrations", "django_content_type", "auth_permission", "pgsupervise_lease", "pgsupervise_clock"]

# Truncating an untouched table costs as much as a full one; a table with a refused row has only its sequence moved.
TOUCHED = """
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname <> ALL (%s)
  AND (pg_relation_size(oid) > 0
       OR EXISTS (SELECT FROM pg_partition_tree(pg_class.oid) WHERE pg_relation_size(relid) > 0)
       OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attidentity <> ''
                  AND pg_sequence_last_value(pg_get_serial_sequence(quote_ident(relname), attname)::regclass) > 0))
"""


@contextmanager
def prototype() -> Iterator[Path]:
    """Make the files of a server that has stopped, with a migrated database: they are copied faster than made anew.

    So is every database that is created there: PostgreSQL copies template1.
    """
    with _directory() as directory:
        with embedded.start(directory, settings=SETTINGS) as server:
            with django_uses(server.dsn("template1")):
                pass
            server.create_database(DATABASE)
        yield directory


@contextmanager
def temporary_server(like: Path | None = None) -> Iterator[embedded.Server]:
    """Run an embedded server in a directory of its own, in which are a prototype's files or none."""
    with _directory() as directory:
        if like:
            subprocess.run(["cp", "-a", f"{like}/.", directory], check=True)
        with embedded.start(directory, settings=SETTINGS) as server:
            yield server


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory outside of pytest's, whose paths are too long for a socket and closed to all but us."""
    directory = Path(tempfile.mkdtemp(prefix="pgsupervise-test-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def temporary_database(server_dsn: str) -> Iterator[str]:
    """Create a database on a server that is not ours, and drop it afterwards."""
    name = f"pgsupervise_test_{secrets.token_hex(4)}"
    with psycopg.connect(server_dsn, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_conninfo(server_dsn, dbname=name)
        finally:
            maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def django_uses(dsn: str) -> Iterator[None]:
    """Point Django, here and in the processes that a test starts, at a database that is migrated first."""
    previous_dsn, previous_settings = os.environ["PGSUPERVISE_DSN"], dict(connection.settings_dict)
    parts = conninfo_to_dict(dsn)
    connections.close_all()
    os.environ["PGSUPERVISE_DSN"] = dsn
    for setting in ("user", "password", "host", "port"):
        connection.settings_dict[setting.upper()] = parts.get(setting, "")
    connection.settings_dict["NAME"] = parts["dbname"]
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connections.close_all()
        os.environ["PGSUPERVISE_DSN"] = previous_dsn
        connection.settings_dict.update(previous_settings)


@contextmanager
def emptying(dsn: str) -> Iterator[Callable[[], None]]:
    """Yield what leaves the tables as the migrations left them; sequences start again at 1, leases' epochs go on.

    It has one session for the whole run: to open another one after each test takes longer than the rest.
    """
    with psycopg.connect(dsn, autocommit=True) as session:
        # Whoever still holds a lock was left behind by the test: say so instead of hanging.
        session.execute("SET lock_timeout = '20s'")

        def empty() -> None:
            if touched := [table for (table,) in session.execute(TOUCHED, [KEPT]).fetchall()]:
                session.execute(f"TRUNCATE {', '.join(touched)} RESTART IDENTITY CASCADE".encode())
            session.execute("UPDATE pgsupervise_lease SET owner_id = NULL WHERE owner_id IS NOT NULL")
            session.execute("UPDATE pgsupervise_clock SET simulated_at = NULL WHERE simulated_at IS NOT NULL")

        yield empty
