"""Resets and stalls do to a connection what networks do."""

import os
import random
import socket
import struct
from collections.abc import Callable

import psycopg
import pytest

from tests.chaos.proxy import Count, Direction, Proxy
from tests.conftest import Connect
from tests.integration.chaos_proxy.clients import MINUTE, Rows, in_background, insert, send_only
from tests.waiting import wait_until


def test_a_reset_is_an_operational_error_for_all_and_new_clients_are_served(proxy: Proxy) -> None:
    clients = [psycopg.connect(proxy.dsn, autocommit=True) for _ in range(3)]

    assert proxy.reset_all() == 3
    for client in clients:
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")

    with psycopg.connect(proxy.dsn) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert proxy.counts[Count.RESET] == 3
    assert proxy.counts[Count.ACCEPTED] == 4


def test_a_reset_of_some_spares_the_others_and_rolls_back_what_was_open(proxy: Proxy, rows: Rows) -> None:
    clients = [psycopg.connect(proxy.dsn) for _ in range(4)]
    for n, client in enumerate(clients):
        insert(client, n)

    assert proxy.reset_some(random.Random(7), 0.5) == 2

    survivors = []
    for n, client in enumerate(clients):
        with client:
            try:
                client.commit()
                survivors.append(n)
            except psycopg.OperationalError:
                pass
    assert len(survivors) == 2
    assert rows() == survivors


def test_a_reset_comes_as_rst(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", psycopg.conninfo.conninfo_to_dict(proxy.dsn)["port"])) as raw:
        wait_until(proxy.connections)
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            raw.recv(1)


def test_a_write_held_on_its_way_to_the_server_arrives_after_the_release(
    proxy: Proxy, client: psycopg.Connection, rows: Rows
) -> None:
    assert proxy.stall(Direction.TO_SERVER, MINUTE) == 1
    writer = in_background(lambda: insert(client, 1))
    wait_until(lambda: proxy.holding(Direction.TO_SERVER) == 1)
    assert rows() == []

    assert proxy.release(Direction.TO_SERVER) == 1
    writer.join()
    assert rows() == [1]


def polite_close(client: psycopg.Connection) -> None:
    client.close()


def fin_without_goodbye(client: psycopg.Connection) -> None:
    with socket.socket(fileno=os.dup(client.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def rst(client: psycopg.Connection) -> None:
    with socket.socket(fileno=os.dup(client.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()


@pytest.mark.parametrize("leave", [polite_close, fin_without_goodbye, rst])
def test_a_held_write_reaches_the_server_although_its_client_has_gone(
    proxy: Proxy, client: psycopg.Connection, rows: Rows, connect: Connect, leave: Callable[[psycopg.Connection], None]
) -> None:
    insert(client, 1)
    backend = client.info.backend_pid
    proxy.stall(Direction.TO_SERVER, MINUTE)
    send_only(client, "INSERT INTO chaos_row VALUES (2)")
    leave(client)
    wait_until(lambda: proxy.connections() == 0)
    assert rows() == [1]
    assert proxy.reset_all() == 0

    assert proxy.release() == 1
    watcher = connect()
    wait_until(lambda: rows() == [1, 2])
    wait_until(lambda: not watcher.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [backend]).fetchall())
    assert proxy.counts[Count.LATE] == 1


def test_a_client_that_goes_during_a_stall_keeps_its_locks_until_the_end(
    proxy: Proxy, client: psycopg.Connection, rows: Rows, connect: Connect
) -> None:
    client.autocommit = False
    client.execute("LOCK TABLE chaos_row")
    proxy.stall(Direction.TO_SERVER, MINUTE)
    client.close()
    wait_until(lambda: proxy.connections() == 0)

    other = connect()
    with pytest.raises(psycopg.errors.LockNotAvailable), other.transaction():
        other.execute("LOCK TABLE chaos_row NOWAIT")
    assert proxy.release() == 1
    assert rows() == []
    assert proxy.counts[Count.LATE] == 0  # only the goodbye


def test_a_new_connection_is_stalled_too_and_a_stall_ends_by_itself(proxy: Proxy) -> None:
    opened: list[psycopg.Connection] = []
    assert proxy.stall(Direction.BOTH, 0.3) == 0
    assert proxy.stall(Direction.TO_SERVER, 0.1) == 0  # can only prolong it
    opener = in_background(lambda: opened.append(psycopg.connect(proxy.dsn)))
    wait_until(proxy.connections)
    assert not opened
    opener.join()
    opened[0].close()
    assert proxy.counts[Count.HELD] >= 1
    assert proxy.counts[Count.STALLS] == 2


def test_a_stall_to_the_client_delays_only_the_reply(proxy: Proxy, client: psycopg.Connection, rows: Rows) -> None:
    proxy.stall(Direction.TO_CLIENT, MINUTE)
    writer = in_background(lambda: insert(client, 1))
    wait_until(lambda: proxy.holding() == 1)
    assert rows() == [1]
    assert client.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE
    assert proxy.release() == 1
    writer.join()
    insert(client, 2)
    assert rows() == [1, 2]


def test_megabytes_are_held_and_delivered_in_order(proxy: Proxy, client: psycopg.Connection, rows: Rows) -> None:
    with client.cursor() as cursor, cursor.copy("COPY chaos_row FROM STDIN") as copy_in:
        proxy.stall(Direction.TO_SERVER, MINUTE)
        for n in range(50_000):
            copy_in.write_row([n, "z" * 100])
        assert proxy.holding() == 1
        assert proxy.release() == 1
    assert rows() == list(range(50_000))
