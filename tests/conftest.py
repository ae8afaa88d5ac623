"""The tests' database, server and connections. A test that asks for none of them starts no database."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import django
import psycopg
import pytest
from django.db import connections
from hypothesis import HealthCheck, settings

from pgsupervise.django_app import embedded
from tests.database import DATABASE, django_uses, emptying, prototype, temporary_database, temporary_server
from tests.distribution import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.distribution import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler

# Before any test module is imported, since many import models. The database comes later, with the first test that wants
# one; until then the name leads nowhere, so that a test that forgot to ask cannot touch a database of the developer's.
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["PGSUPERVISE_DSN"] = "dbname=unset"
django.setup()

# On a machine that is busy with other tests, how long an example takes says nothing about it.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

Connect = Callable[[], psycopg.Connection]


@pytest.fixture(scope="session", autouse=True)
def children_without_memory_hooks() -> Iterator[None]:
    """Spare the processes that tests start the debug hooks of Python's allocator, which development mode brings.

    They find faults of C code, of which there is none here, and slow all else down. The rest of development mode is
    inherited: children warn about what they leave open. This process, which runs the same code, keeps the hooks too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONMALLOC", "default")
        yield


@pytest.fixture(scope="session")
def server_files() -> Iterator[Path]:
    """Return what each server of the tests starts with."""
    with prototype() as directory:
        yield directory


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[embedded.Server]:
    """Run the embedded server that the tests share. A test that stops its server takes `own_server` instead."""
    if "PGSUPERVISE_TEST_DSN" in os.environ:
        pytest.skip("PGSUPERVISE_TEST_DSN: the tests run on a server that is not theirs")
    with temporary_server(request.getfixturevalue("server_files")) as running:
        yield running


@pytest.fixture(scope="session")
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the connection string of the run's migrated database; Django and child processes use it too."""
    given = os.environ.get("PGSUPERVISE_TEST_DSN")
    if given is None:
        embedded_server: embedded.Server = request.getfixturevalue("server")
        with django_uses(embedded_server.dsn(DATABASE)):
            yield os.environ["PGSUPERVISE_DSN"]
    else:
        with temporary_database(given) as fresh, django_uses(fresh):
            yield fresh


@pytest.fixture(scope="session")
def empty_tables(dsn: str) -> Iterator[Callable[[], None]]:
    """Return what empties the tables."""
    with emptying(dsn) as empty:
        yield empty


@pytest.fixture
def db(dsn: str, empty_tables: Callable[[], None]) -> Iterator[str]:
    """Let the test use the database, through Django or not, and empty the tables after it."""
    yield dsn
    connections.close_all()  # also one that the test left inside a failed transaction
    empty_tables()


@pytest.fixture
def own_server(server_files: Path) -> Iterator[embedded.Server]:
    """Run a server that the test may stop, crash and start again."""
    with temporary_server(server_files) as running:
        yield running


@pytest.fixture
def own_dsn(own_server: embedded.Server) -> Iterator[str]:
    """Return the connection string of a migrated database on `own_server`, used by Django for this test."""
    with django_uses(own_server.dsn(DATABASE)):
        yield os.environ["PGSUPERVISE_DSN"]


@pytest.fixture
def connect(db: str) -> Iterator[Connect]:
    """Return a function that opens an autocommit connection; all are closed before the tables are emptied."""
    opened: list[psycopg.Connection] = []

    def open_connection() -> psycopg.Connection:
        opened.append(psycopg.connect(db, autocommit=True))
        return opened[-1]

    yield open_connection
    for connection in opened:
        connection.close()
