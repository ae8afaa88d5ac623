"""A proxy, a client of it, and a table."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.chaos.proxy import Proxy
from tests.conftest import Connect
from tests.integration.chaos_proxy.clients import Rows


@pytest.fixture
def proxy(db: str) -> Iterator[Proxy]:
    with Proxy(db) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy, rows: Rows) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(proxy.dsn, autocommit=True)) as connection:
        yield connection


@pytest.fixture
def rows(connect: Connect) -> Iterator[Rows]:
    """Make a table of numbers, and return what reads it past the proxy."""
    direct = connect()
    direct.execute("SET lock_timeout = '20s'")
    direct.execute("CREATE TABLE chaos_row (n bigint, text text)")
    yield lambda: [n for (n,) in direct.execute("SELECT n FROM chaos_row ORDER BY n").fetchall()]
    direct.execute("DROP TABLE chaos_row")
