"""What clients do through the proxy."""

import threading
from collections.abc import Callable

import psycopg

MINUTE = 60.0
Rows = Callable[[], list[int]]


def insert(client: psycopg.Connection, n: int) -> None:
    client.execute("INSERT INTO chaos_row VALUES (%s)", [n])


def send_only(client: psycopg.Connection, statement: str) -> None:
    """Send a statement without waiting for its reply."""
    client.pgconn.send_query(statement.encode())
    assert client.pgconn.flush() == 0


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread
