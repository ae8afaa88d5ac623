"""Whether the database is there and has our tables: each fault in one line, with its cure and without the password."""

import warnings
from collections.abc import Mapping
from typing import Any

import psycopg
from django.apps import apps
from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor

from .bulk import connection_of
from .models import Task
from .texts import one_line

LABEL = "pgsupervise"
CONNECT_TIMEOUT = 5


def database_problems(conninfo: Mapping[str, Any]) -> list[str]:
    """Return what keeps the workers from using the database that `conninfo` leads to."""
    try:
        # As the workers will connect, and bounded: a host that swallows packets would hold up the start for minutes.
        psycopg.connect(**{"connect_timeout": CONNECT_TIMEOUT, **conninfo}).close()
    except psycopg.Error as error:
        return [_unreachable(conninfo, error)]
    try:
        with warnings.catch_warnings():
            # Django warns of questions to the database while apps load: in a project where one does not they never end.
            warnings.simplefilter("ignore", RuntimeWarning)
            return _unapplied_migrations() or _missing_tables()
    except DatabaseError as error:
        return [f"the database's tables cannot be read: {one_line(str(error))}; grant this user the right to"]


def _unreachable(conninfo: Mapping[str, Any], error: psycopg.Error) -> str:
    host, port = conninfo.get("host") or "the local socket", conninfo.get("port") or 5432
    database, reason = conninfo.get("dbname") or conninfo.get("service"), one_line(str(error))
    if password := conninfo.get("password"):
        reason = reason.replace(str(password), "***")
    return (
        f"cannot connect to PostgreSQL at {host}, port {port}, database {database!r}: {reason}; start the server, or "
        "correct DATABASES in the settings"
    )


def _unapplied_migrations() -> list[str]:
    executor = MigrationExecutor(connection_of(Task))
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] == LABEL]
    names = [migration.name for migration, _ in executor.migration_plan(leaves) if migration.app_label == LABEL]
    if not names:
        return []
    return [f"the database has not been migrated ({', '.join(names)} missing): run manage.py migrate"]


def _missing_tables() -> list[str]:
    tables = [model._meta.db_table for model in apps.get_app_config(LABEL).get_models()]
    with connection_of(Task).cursor() as cursor:
        cursor.execute("SELECT name FROM unnest(%s::text[]) name WHERE to_regclass(name) IS NULL", [tables])
        missing = [name for (name,) in cursor.fetchall()]
    if not missing:
        return []
    return [
        f"the tables {', '.join(missing)} are missing although their migrations are recorded as applied: restore them "
        f"from a backup, or run manage.py migrate {LABEL} zero --fake and manage.py migrate; check search_path too"
    ]
