"""Fixtures of the tests with real processes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.lifecycle.nursery import forked, nursery
from tests.lifecycle.supervising import Launch, Supervised, supervised
from tests.project.tasks import LEDGER

Start = Callable[..., Supervised]


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
