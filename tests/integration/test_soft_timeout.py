"""A soft timeout in the middle of a statement: the server stops it, and no later task meets its connection."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction

from pgsupervise.django_app.models import Task
from pgsupervise.django_app.task_runner import run_task
from pgsupervise.django_app.tasks import SoftTimeoutError, task
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed, TaskOutcome
from tests.registries import own_registries
from tests.waiting import wait_until

Connect = Callable[[], psycopg.Connection]
LIMIT = 0.3
TIMED_OUT = f"SoftTimeoutError: the task ran longer than its soft timeout of {LIMIT} s"
SLOW_COMMIT = """
CREATE TABLE slow (n int);
CREATE FUNCTION wait_long() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_long();
"""
RUNNING = """
SELECT count(*) FROM pg_stat_activity
WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@pytest.fixture(autouse=True)
def persistent(db: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a connection outlive the task that opened it, as in a worker, and be open already."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    with own_registries():
        task(name="app.write")(lambda: Task.objects.create(name="next"))
        assert run_task(claimed("app.write")) == Done()
        Task.objects.all().delete()
        yield


def claimed(name: str) -> ClaimedTask:
    return ClaimedTask(1, 2, 3, name, "[]", "{}", 1, 5, 0, "")


def run_limited(function: Callable[[], Any]) -> TaskOutcome:
    task(name="app.limited", soft_timeout=timedelta(seconds=LIMIT))(function)
    return run_task(claimed("app.limited"))


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def wait_long() -> None:
    execute("SELECT pg_sleep(30)")


def wait_inside() -> None:
    with transaction.atomic():
        Task.objects.create(name="never.committed")
        wait_long()


def wait_after_begin() -> None:
    execute("BEGIN")
    Task.objects.create(name="never.committed")
    wait_long()


def wait_for_commit() -> None:
    with transaction.atomic():
        Task.objects.create(name="never.committed")
        execute("INSERT INTO slow VALUES (1)")


def wait_in_copy() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        Task.objects.create(name="never.committed")
        with cursor.copy("COPY pgsupervise_task (bucket, name) FROM STDIN") as copy:
            copy.write_row((1, "never.committed"))
            time.sleep(30)


def wait_for_rows() -> None:
    with connection.cursor() as cursor, cursor.copy("COPY (SELECT pg_sleep(30)) TO STDOUT") as copy:
        copy.read()


@pytest.fixture
def other(connect: Connect) -> Iterator[psycopg.Connection]:
    """Return a connection that sees what is committed and what runs, beside a table whose commits take long."""
    opened = connect()
    opened.execute(SLOW_COMMIT)
    yield opened
    opened.execute("DROP TABLE slow; DROP FUNCTION wait_long")


def names(other: psycopg.Connection) -> list[str]:
    return [name for (name,) in other.execute("SELECT name FROM pgsupervise_task ORDER BY id")]


@pytest.mark.parametrize(
    "function", [wait_long, wait_inside, wait_after_begin, wait_for_commit, wait_in_copy, wait_for_rows]
)
def test_an_interrupted_statement_is_stopped_and_its_connection_not_used_again(
    function: Callable[[], None], other: psycopg.Connection
) -> None:
    began = time.monotonic()
    outcome = run_limited(function)
    assert time.monotonic() - began < 5
    assert isinstance(outcome, Failed)
    assert outcome.error == TIMED_OUT
    wait_until(lambda: other.execute(RUNNING).fetchone() == (0,), 5)
    assert run_task(claimed("app.write")) == Done()
    assert names(other) == ["next"]


def test_a_task_that_is_interrupted_between_its_statements_leaves_no_transaction(other: psycopg.Connection) -> None:
    def sleep_inside() -> None:
        with transaction.atomic():
            Task.objects.create(name="never.committed")
            time.sleep(30)

    outcome = run_limited(sleep_inside)
    assert isinstance(outcome, Failed)
    assert outcome.error == TIMED_OUT
    assert run_task(claimed("app.write")) == Done()
    assert names(other) == ["next"]


def test_a_task_may_catch_it_around_its_block_and_write_on(other: psycopg.Connection) -> None:
    def tidy() -> None:
        try:
            wait_inside()
        except SoftTimeoutError:
            Task.objects.create(name="tidied up")

    assert run_limited(tidy) == Done()
    assert names(other) == ["tidied up"]


@pytest.mark.parametrize(
    ("function", "error"), [(wait_long, None), (wait_for_commit, None), (wait_after_begin, "left a transaction open")]
)
def test_a_task_may_catch_it_without_a_block_too(
    function: Callable[[], None], error: str | None, other: psycopg.Connection
) -> None:
    def tidy() -> None:
        with pytest.raises(SoftTimeoutError):
            function()
        if error is None:
            Task.objects.create(name="tidied up")

    outcome = run_limited(tidy)
    if error is None:
        assert outcome == Done()
    else:
        assert isinstance(outcome, Failed)
        assert error in outcome.error
    assert run_task(claimed("app.write")) == Done()
    assert names(other) == (["tidied up", "next"] if error is None else ["next"])


def test_a_task_that_catches_it_inside_its_block_has_failed(other: psycopg.Connection) -> None:
    def stop_inside() -> None:
        with transaction.atomic():
            Task.objects.create(name="never.committed")
            with pytest.raises(SoftTimeoutError):
                wait_long()

    assert isinstance(run_limited(stop_inside), Failed)
    assert run_task(claimed("app.write")) == Done()
    assert names(other) == ["next"]


def test_a_connection_interrupted_while_it_opens_serves_nobody(
    other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_slowly(self: Any, autocommit: bool) -> None:
        time.sleep(30)

    def write_on_it() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(type(connections["default"]), "_set_autocommit", open_slowly)
            with pytest.raises(SoftTimeoutError):
                connection.ensure_connection()
        Task.objects.create(name="never.committed")

    connection.close()
    del connections["default"]  # the next one has never been open
    outcome = run_limited(write_on_it)
    assert isinstance(outcome, Failed), "without autocommit yet, nothing was committed"
    assert "left a transaction open" in outcome.error
    assert run_task(claimed("app.write")) == Done()
    assert names(other) == ["next"]


def test_an_async_tasks_query_ends_before_the_task_is_interrupted(other: psycopg.Connection) -> None:
    async def query() -> None:
        await sync_to_async(lambda: execute("SELECT pg_sleep(0.8)"))()
        await Task.objects.acreate(name="never.reached")

    outcome = run_limited(query)
    assert isinstance(outcome, Failed)
    assert outcome.error == TIMED_OUT
    assert run_task(claimed("app.write")) == Done()
    assert names(other) == ["next"]
