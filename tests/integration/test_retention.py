"""The archive's day partitions: made and dropped without ever standing in the way of a task that ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count

import psycopg
import pytest
from psycopg import sql

from pgsupervise.partitions import retention
from tests.integration.world import one

Connect = Callable[[], psycopg.Connection]
PARTITIONS = """SELECT relid::regclass::text FROM pg_partition_tree('pgsupervise_finishedtask')
    WHERE isleaf AND relid::regclass::text ~ '_[0-9]+$' ORDER BY 1"""
KEEP = timedelta(days=30)
IDS = count(1)


@pytest.fixture
def connection(connect: Connect) -> Iterator[psycopg.Connection]:
    """Connect, and leave the partitions as the migration made them."""
    connection = connect()
    yield connection
    connection.execute("TRUNCATE pgsupervise_finishedtask")
    retention.create_finished_partitions(connection)
    retention.drop_finished_partitions(connection, timedelta(0))
    assert len(days(connection)) >= 8


def days(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute(PARTITIONS)]


def today(connection: psycopg.Connection, ahead: int = 0) -> date:
    day: date = one(connection, "SELECT (now() AT TIME ZONE 'UTC')::date + %s", ahead)
    return day


def name_of(day: date) -> str:
    return f"{retention.PREFIX}{day:%Y%m%d}"


def drop(connection: psycopg.Connection, *names: str) -> None:
    for name in names:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def make_day(connection: psycopg.Connection, day: date) -> str:
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF pgsupervise_finishedtask FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(name_of(day)),
            sql.Literal(f"{day} 00:00Z"),
            sql.Literal(f"{day + timedelta(days=1)} 00:00Z"),
        )
    )
    return name_of(day)


def archive(connection: psycopg.Connection, ago: timedelta = timedelta(0)) -> str:
    """Insert a finished task; return the partition that took it."""
    statement = """INSERT INTO pgsupervise_finishedtask (id, bucket, name, state, finished_at)
        VALUES (%s, 0, 't', 'DONE', now() - %s) RETURNING tableoid::regclass::text"""
    return str(one(connection, statement, next(IDS), ago))


@contextmanager
def reader(connect: Connect) -> Iterator[None]:
    """Hold a transaction open that has read the archive, as a report or a dump does."""
    holder = connect()
    with holder.transaction():
        holder.execute("SELECT count(*) FROM pgsupervise_finishedtask")
        yield


class Watching(psycopg.Connection):
    """A connection that inserts through another one in the midst of each of its changes of the schema."""

    other: psycopg.Connection
    took: int = 0

    def execute(self, query: object, *arguments: object, **options: object) -> psycopg.Cursor:
        done = super().execute(query, *arguments, **options)  # type: ignore[call-overload]
        if "ATTACH" in str(query):
            archive(self.other)
            self.took += 1
        return done  # type: ignore[no-any-return]


def test_the_migration_makes_today_and_the_coming_days(connection: psycopg.Connection) -> None:
    expected = {name_of(today(connection, ahead)) for ahead in range(7)}
    assert expected <= set(days(connection))
    assert archive(connection) == name_of(today(connection))


def test_missing_days_are_made_like_the_others(connection: psycopg.Connection) -> None:
    retention.create_finished_partitions(connection)
    columns = """SELECT attname, atttypid, atttypmod, attnotnull, pg_get_expr(adbin, adrelid)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
    rules = """SELECT pg_get_constraintdef(oid), conislocal, coninhcount FROM pg_constraint
        WHERE conrelid = %s::regclass AND contype IN ('c', 'p') ORDER BY 1"""
    indexes = """SELECT pg_get_expr(indpred, indrelid), indkey::text, inhparent::regclass::text
        FROM pg_index LEFT JOIN pg_inherits ON inhrelid = indexrelid WHERE indrelid = %s::regclass ORDER BY 2, 1"""
    like, last = name_of(today(connection)), name_of(today(connection, 7))
    bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass"
    former = one(connection, bounds, last)
    drop(connection, last)
    assert retention.create_finished_partitions(connection) == [last]
    assert retention.create_finished_partitions(connection) == []
    assert one(connection, bounds, last) == former
    for catalog in (columns, indexes):
        expected = connection.execute(catalog.encode(), [like]).fetchall()
        assert connection.execute(catalog.encode(), [last]).fetchall() == expected
    assert [row[0] for row in connection.execute(rules.encode(), [last])] == [
        row[0] for row in connection.execute(rules.encode(), [like])
    ]


def test_a_report_that_reads_the_archive_delays_new_partitions_and_no_task(
    connection: psycopg.Connection, connect: Connect
) -> None:
    retention.create_finished_partitions(connection)
    last = name_of(today(connection, 7))
    drop(connection, last)
    connection.execute("SET statement_timeout = '20s'")  # whoever waits for the report waits for ever
    with reader(connect):
        assert retention.create_finished_partitions(connection) == []
        assert archive(connect()) == name_of(today(connection))
    assert retention.create_finished_partitions(connection) == [last]


def test_a_task_ends_while_a_partition_is_being_attached(connection: psycopg.Connection, db: str) -> None:
    last = name_of(today(connection, 7))
    drop(connection, *[name for name in days(connection) if name >= last])
    with Watching.connect(db, autocommit=True) as watching:
        watching.other = connection
        connection.execute("SET lock_timeout = '5s'")
        # Only the day's own partition, not the whole archive: a row is inserted before the change is committed.
        assert retention.create_finished_partitions(watching) == [last]
        assert watching.took == 1


def test_old_days_are_dropped_when_nobody_reads_them(connection: psycopg.Connection, connect: Connect) -> None:
    connection.execute("SET statement_timeout = '20s'")
    old, older = (make_day(connection, today(connection, -ago)) for ago in (32, 33))
    kept = make_day(connection, today(connection, -31))
    with reader(connect):
        assert retention.drop_finished_partitions(connection, KEEP) == []
        assert archive(connect()) == name_of(today(connection))
    assert retention.drop_finished_partitions(connection, KEEP) == [older, old]
    assert kept in days(connection)


def test_a_day_whose_rows_lie_in_the_default_partition_stays_there_and_the_others_are_made(
    connection: psycopg.Connection,
) -> None:
    names = [name_of(today(connection, ahead)) for ahead in (6, 7)]
    retention.create_finished_partitions(connection)
    drop(connection, *names)
    assert archive(connection, timedelta(days=-6)) == "pgsupervise_finishedtask_default"
    assert retention.create_finished_partitions(connection) == names[1:]


def test_old_rows_of_the_default_partition_are_deleted_by_the_chunk(connection: psycopg.Connection) -> None:
    for ago in (timedelta(days=40), timedelta(days=41), timedelta(days=42), timedelta(days=29)):
        assert archive(connection, ago) == "pgsupervise_finishedtask_default"
    archive(connection)
    assert retention.delete_finished_default(connection, KEEP, limit=2) == 2
    assert retention.delete_finished_default(connection, KEEP) == 1
    assert retention.delete_finished_default(connection, KEEP) == 0
    assert one(connection, "SELECT count(*) FROM pgsupervise_finishedtask") == 2
