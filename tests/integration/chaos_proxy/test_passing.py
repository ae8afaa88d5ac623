"""Without a fault nothing is different from a direct connection."""

import random
import threading
from contextlib import closing

import psycopg
import pytest

from pgsupervise.django_app import embedded
from tests.chaos.proxy import Count, Direction, Proxy
from tests.conftest import Connect
from tests.integration.chaos_proxy.clients import MINUTE, Rows, in_background, insert, send_only
from tests.waiting import wait_until


def test_statements_that_get_prepared_large_rows_and_copies_pass_unchanged(
    client: psycopg.Connection, rows: Rows
) -> None:
    for n in range(12):
        insert(client, n)
    assert rows() == list(range(12))

    large = random.Random(1).randbytes(3_000_000)
    received = client.execute("SELECT %s::bytea, repeat('x', 5000000)", [large], binary=True).fetchone()
    assert received == (large, "x" * 5_000_000)

    with client.cursor() as cursor, cursor.copy("COPY chaos_row FROM STDIN") as copy_in:
        for n in range(100, 20_100):
            copy_in.write_row([n, "y" * 100])
    with client.cursor().copy("COPY (SELECT n FROM chaos_row WHERE n >= %s ORDER BY n) TO STDOUT", [100]) as copy_out:
        copy_out.set_types(["int8"])
        assert [n for (n,) in copy_out.rows()] == list(range(100, 20_100))
    assert client.execute("SELECT count(*) FROM chaos_row").fetchone() == (20_012,)


def test_errors_transactions_pipelines_and_notices_pass_unchanged(client: psycopg.Connection, rows: Rows) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.execute("SELECT 1 / 0")
    with pytest.raises(psycopg.errors.DivisionByZero), client.transaction():
        client.execute(
            "WITH added AS (INSERT INTO chaos_row VALUES (1) RETURNING n) SELECT 1 / (n - %s) FROM added", [1]
        )
    with client.transaction():
        insert(client, 2)
    with client.pipeline(), client.transaction():
        client.cursor().executemany("INSERT INTO chaos_row VALUES (%s)", [(n,) for n in range(3, 300)])
    notices: list[str | None] = []
    client.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    client.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    assert notices == ["hello"]
    assert rows() == list(range(2, 300))


def test_a_running_statement_is_cancelled_through_it(client: psycopg.Connection, connect: Connect) -> None:
    watcher = connect()
    errors: list[BaseException] = []

    def sleep() -> None:
        try:
            client.execute("SELECT pg_sleep(60)")
        except psycopg.Error as error:
            errors.append(error)

    sleeper = in_background(sleep)
    running = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    wait_until(lambda: watcher.execute(running, [client.info.backend_pid]).fetchone() is not None)
    client.cancel_safe()
    sleeper.join()

    assert isinstance(errors[0], psycopg.errors.QueryCanceled)
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_is_away_is_a_failed_connection_until_it_is_back(
    own_server: embedded.Server, own_dsn: str
) -> None:
    with Proxy(own_dsn) as proxy:
        with closing(psycopg.connect(proxy.dsn, autocommit=True)) as client:
            own_server.stop_server("immediate")
            with pytest.raises(psycopg.OperationalError):
                client.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(proxy.dsn)
        assert proxy.counts[Count.REFUSED] == 1

        own_server.start_server()
        with psycopg.connect(proxy.dsn) as back:
            assert back.execute("SELECT 1").fetchone() == (1,)


def test_closing_ends_its_thread_and_all_connections_even_stalled_ones(db: str) -> None:
    proxy = Proxy(db)
    with closing(psycopg.connect(proxy.dsn)) as waiting, closing(psycopg.connect(proxy.dsn)) as idle:
        proxy.stall(Direction.BOTH, MINUTE)
        send_only(waiting, "SELECT 1")
        proxy.close()
        proxy.close()
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")

    assert "chaos-proxy" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.dsn)
