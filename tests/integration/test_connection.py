"""A connection that is not answered is given up, whatever the network does."""

from contextlib import nullcontext

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.partitions.connection import connect, is_lost
from pgsupervise.partitions.round_trips import sent_together


def test_a_statement_without_an_answer_is_given_up_and_the_connection_with_it(db: str) -> None:
    connection = connect(conninfo_to_dict(db), "test", answer_seconds=0.3)
    pid = connection.info.backend_pid
    with pytest.raises(psycopg.OperationalError, match="no answer in time") as caught, connection.transaction():
        connection.execute("SELECT pg_sleep(30)")
    assert is_lost(caught.value)
    assert connection.closed
    # The server sleeps on in its transaction, which tests behind this one would find.
    with psycopg.connect(db, autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)


def test_answers_within_the_time_are_not_disturbed(db: str) -> None:
    with connect(conninfo_to_dict(db), "test", answer_seconds=5) as connection:
        assert connection.execute("SELECT pg_sleep(0.3), 1").fetchone() == ("", 1)
        rows = connection.execute("SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n").fetchall()
        assert len(rows) == 20000
        with connection.pipeline():
            assert connection.execute("SELECT 2").fetchone() == (2,)


def test_a_round_trip_that_fails_does_so_as_a_whole_and_the_connection_serves_on(db: str) -> None:
    with connect(conninfo_to_dict(db), "test") as connection:
        connection.execute("CREATE TEMP TABLE written (n int)")
        for n in range(20):  # more often than it takes until a statement is prepared
            failure = pytest.raises(psycopg.errors.DivisionByZero)
            with failure, sent_together(connection):
                connection.execute("INSERT INTO written VALUES (%s)", [n])
                connection.execute("SELECT 1 / %s", [n - n])
                connection.execute("SELECT %s + 1", [n])
            with sent_together(connection):
                connection.execute("INSERT INTO written VALUES (%s)", [n])
                answer = connection.execute("SELECT %s + 1", [n])
            assert answer.fetchone() == (n + 1,)
        assert connection.execute("SELECT count(*), max(n) FROM written").fetchone() == (20, 19)


@pytest.mark.parametrize("committed", [False, True])
def test_what_is_sent_together_is_written_as_a_whole_also_where_the_sender_fails(db: str, committed: bool) -> None:
    with connect(conninfo_to_dict(db), "test") as connection:
        connection.execute("CREATE TEMP TABLE written (t text)")
        with nullcontext() if committed else pytest.raises(psycopg.DataError), sent_together(connection):
            connection.execute("INSERT INTO written VALUES ('first')")
            connection.execute("INSERT INTO written VALUES (%s)", ["second" if committed else "nul \0"])
        assert connection.execute("SELECT count(*) FROM written").fetchone() == (2 if committed else 0,)


def test_no_statement_of_ours_is_compiled(db: str) -> None:
    """What plan_by_keys switches off looks so dear to PostgreSQL before 18 that it would compile every plan."""
    with connect(conninfo_to_dict(db), "test") as connection:
        assert connection.execute("SHOW jit").fetchone() == ("off",)
    with psycopg.connect(db, autocommit=True) as pooled:
        pooled.prepare_threshold = None  # as connect() marks one behind a pooler
        with sent_together(pooled):
            setting = pooled.execute("SHOW jit")
        assert setting.fetchone() == ("off",)
