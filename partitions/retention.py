"""The archive's day partitions: made ahead of time, dropped when they are old enough."""

from datetime import date, timedelta

from psycopg import sql

from .connection import Connection
from .statements import load

PREFIX = "pgsupervise_finishedtask_"
DAYS_AHEAD = 7


def create_finished_partitions(connection: Connection) -> list[str]:
    """Make the partitions of the coming days that are missing; return their names.

    Today's is not made here: its rows may already lie in the default partition, which PostgreSQL would refuse.
    """
    present, today = _partitions(connection)
    made = []
    for ahead in range(1, DAYS_AHEAD + 1):
        day = today + timedelta(days=ahead)
        name = f"{PREFIX}{day:%Y%m%d}"
        if name not in present:
            connection.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} PARTITION OF pgsupervise_finishedtask FOR VALUES FROM ({}) TO ({})"
                ).format(
                    sql.Identifier(name), sql.Literal(f"{day} 00:00Z"), sql.Literal(f"{day + timedelta(1)} 00:00Z")
                )
            )
            made.append(name)
    return made


def drop_finished_partitions(connection: Connection, keep: timedelta) -> list[str]:
    """Drop the days that ended more than `keep` ago; return their names. The default partition stays."""
    present, today = _partitions(connection)
    oldest = f"{PREFIX}{today - keep - timedelta(days=1):%Y%m%d}"
    dropped = sorted(name for name in present if name.removeprefix(PREFIX).isdigit() and name < oldest)
    for name in dropped:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
    return dropped


def _partitions(connection: Connection) -> tuple[set[str], date]:
    rows = connection.execute(load("finished_partitions")).fetchall()
    return {row[0] for row in rows}, rows[0][1]
