"""A reply that is lost on purpose is that of something that was committed."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.chaos.proxy import Count, Proxy
from tests.integration.chaos_proxy.clients import Rows, in_background, insert
from tests.waiting import wait_until


def test_a_client_that_asks_for_encryption_is_served_and_its_commits_are_known(proxy: Proxy, rows: Rows) -> None:
    with psycopg.connect(make_conninfo(proxy.dsn, sslmode="prefer", gssencmode="prefer"), autocommit=True) as client:
        arm = proxy.drop_next_commit_reply()
        with pytest.raises(psycopg.OperationalError), client.transaction():
            insert(client, 1)
    assert arm.fired.is_set()
    assert rows() == [1]


def by_query(client: psycopg.Connection) -> None:
    with client.transaction():
        insert(client, 1)


def by_prepared_commit(client: psycopg.Connection) -> None:
    client.execute("BEGIN")
    insert(client, 1)
    client.execute("COMMIT", prepare=True)


def by_end(client: psycopg.Connection) -> None:
    client.execute("BEGIN")
    insert(client, 1)
    client.execute(" end transaction; ")


def by_commit_of_the_connection(client: psycopg.Connection) -> None:
    client.autocommit = False
    insert(client, 1)
    client.commit()


def by_pipeline(client: psycopg.Connection) -> None:
    with client.pipeline(), client.transaction():
        insert(client, 1)


@pytest.mark.parametrize("commit", [by_query, by_prepared_commit, by_end, by_commit_of_the_connection, by_pipeline])
def test_a_commit_whose_reply_is_lost_is_an_error_for_the_client_and_lasts(
    proxy: Proxy, client: psycopg.Connection, rows: Rows, commit: Callable[[psycopg.Connection], None]
) -> None:
    arm = proxy.drop_next_commit_reply()
    with pytest.raises(psycopg.OperationalError):
        commit(client)
    assert rows() == [1]
    assert arm.fired.is_set()
    assert arm.sql is not None
    assert arm.sql.strip().upper().startswith(("COMMIT", "END"))
    assert proxy.counts[Count.REPLY_LOST] == 1


def test_the_loss_of_a_reply_happens_once_to_one_of_many(proxy: Proxy, rows: Rows) -> None:
    arm = proxy.drop_next_commit_reply()
    failed: list[int] = []

    def work(n: int) -> None:
        try:
            with psycopg.connect(proxy.dsn) as client:
                insert(client, n)
        except psycopg.OperationalError:
            failed.append(n)

    for thread in [in_background(lambda n=n: work(n)) for n in range(8)]:  # type: ignore[misc]
        thread.join()
    assert len(failed) == 1
    assert rows() == list(range(8))
    assert not arm.disarm()


@pytest.mark.parametrize("times_before", [0, 10])
def test_a_lost_reply_of_a_statement_by_its_text_is_of_one_that_commits_by_itself(
    proxy: Proxy, client: psycopg.Connection, rows: Rows, times_before: int
) -> None:
    update = "UPDATE chaos_row SET n = n + 1 WHERE n >= %s RETURNING n"
    insert(client, 0)
    for _ in range(times_before):
        client.execute(update, [0])

    arm = proxy.drop_next_commit_reply(match="SET n = n + 1")
    client.execute("SELECT n FROM chaos_row")
    with client.transaction():
        client.execute(update, [0])  # its transaction is open: nothing is committed yet
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        client.execute(update, ["no number"])
    assert not arm.fired.is_set()

    with pytest.raises(psycopg.OperationalError):
        client.execute(update, [0])
    assert rows() == [times_before + 2]
    assert arm.fired.is_set()
    assert arm.sql is not None
    assert "SET n = n + 1" in arm.sql


def test_what_commits_nothing_and_what_comes_after_the_disarming_keeps_its_reply(
    proxy: Proxy, client: psycopg.Connection, rows: Rows
) -> None:
    arm = proxy.drop_next_commit_reply()
    insert(client, 1)
    client.execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.execute("SELECT 1 / 0")
    assert client.execute("COMMIT").statusmessage == "ROLLBACK"
    client.execute("SELECT 'COMMIT'")

    assert arm.disarm()
    with client.transaction():
        insert(client, 2)
    assert rows() == [1, 2]
    assert not arm.fired.is_set()


def test_the_lost_reply_is_found_after_a_copy_with_parameters(
    proxy: Proxy, client: psycopg.Connection, rows: Rows
) -> None:
    # With parameters a COPY has two Syncs and one answer to them.
    client.execute("SELECT 1", prepare=True)
    with client.cursor().copy("COPY (SELECT %s::int) TO STDOUT", [1]) as copy_out:
        assert list(copy_out.rows()) == [("1",)]
    insert_by_extended_copy(client, 1)
    arm = proxy.drop_next_commit_reply()
    with pytest.raises(psycopg.OperationalError), client.transaction():
        insert(client, 2)
    assert rows() == [1, 2]
    assert arm.fired.is_set()


def insert_by_extended_copy(client: psycopg.Connection, n: int) -> None:
    client.pgconn.send_query_params(b"COPY chaos_row (n) FROM STDIN", None)
    assert next_status(client) == psycopg.pq.ExecStatus.COPY_IN
    client.pgconn.put_copy_data(f"{n}\n".encode())
    client.pgconn.put_copy_end()
    assert next_status(client) == psycopg.pq.ExecStatus.COMMAND_OK
    assert next_status(client) is None


def next_status(client: psycopg.Connection) -> int | None:
    """Return the next result's status; libpq's own waiting would keep the proxy's thread from running."""

    def arrived() -> bool:
        client.pgconn.flush()
        client.pgconn.consume_input()
        return not client.pgconn.is_busy()

    wait_until(arrived)
    result = client.pgconn.get_result()
    return result.status if result else None
