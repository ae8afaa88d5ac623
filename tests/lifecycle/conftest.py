"""Fixtures of the tests with real processes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.lifecycle.mailing import KEY
from tests.lifecycle.nursery import forked, nursery
from tests.lifecycle.supervising import Launch, Supervised, supervised
from tests.project.tasks import LEDGER
from tests.sendgrid_server import SendGridServer

Start = Callable[..., Supervised]
StartMailing = Callable[..., Supervised]


@pytest.fixture
def watch(db: str) -> Iterator[psycopg.Connection]:
    """Return a connection to look with, in a database that has the ledger of the tests' tasks."""
    with psycopg.connect(db, autocommit=True) as connection:
        connection.execute(LEDGER)
        yield connection


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """Return what starts supervisors quickly."""
    with nursery():
        yield forked


@pytest.fixture
def start(watch: psycopg.Connection, db: str, tmp_path: Path, launch: Launch) -> Iterator[Start]:
    """Return a function that starts a supervisor; all of them are stopped before the tables are emptied."""
    with ExitStack() as stack:
        yield lambda *options, **how: stack.enter_context(
            supervised(db, tmp_path, *options, **{"launch": launch, **how})
        )


@pytest.fixture
def provider() -> Iterator[SendGridServer]:
    """Run the server."""
    with SendGridServer() as server:
        yield server


@pytest.fixture
def start_mailing(start: Start, provider: SendGridServer) -> StartMailing:
    """Return a function that starts a supervisor which sends to it; options, and variables of the environment."""
    environment = {"SENDGRID_API_KEY": KEY, "TEST_SENDGRID_HOST": provider.url, "no_proxy": "127.0.0.1"}

    def start_one(*options: str, partitions: int = 4, **more: str) -> Supervised:
        variables = {**environment, **more}
        settings = "tests.mailing.settings"
        return start("--log-level", "debug", *options, partitions=partitions, settings=settings, environment=variables)

    return start_one
