"""Running a claimed task: what it raises is an outcome, and the next task starts clean."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import translation

from pgsupervise.django_app.models import Task
from pgsupervise.django_app.task_runner import run_task, task_specs
from pgsupervise.django_app.tasks import task
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


@pytest.fixture
def persistent(db: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a connection outlive the task that opened it, so that what one task leaves could reach the next."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    return db


def claimed(name: str, *args: Any, **kwargs: Any) -> ClaimedTask:
    return ClaimedTask(1, 2, 3, name, json.dumps(args), json.dumps(kwargs), 1, 5, 0, "")


def failure_of(function: Callable[..., Any], *args: Any) -> Failed:
    task(name="app.failing")(lambda: function(*args))
    outcome = run_task(claimed("app.failing"))
    assert isinstance(outcome, Failed)
    return outcome


def raises(error: BaseException) -> None:
    raise error


async def raises_later(error: BaseException) -> None:
    raise error


class Odd(BaseException):
    """What no handler of Exception catches, as gevent.Timeout."""


def test_a_task_that_returns_is_done() -> None:
    seen: list[Any] = []
    task(name="app.see")(lambda *args, **kwargs: seen.append((args, kwargs)))
    assert run_task(claimed("app.see", 1, [2], key={"a": 3})) == Done()
    assert seen == [((1, [2]), {"key": {"a": 3}})]


def test_the_names_are_sorted() -> None:
    for name in ("b.task", "a.task"):
        task(name=name)(lambda: None)
    names = list(task_specs())
    assert names == sorted(names)
    assert {"a.task", "b.task"} <= set(names)


def test_an_unknown_name_fails_with_the_cure() -> None:
    outcome = run_task(claimed("app.gone"))
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("LookupError: no task is named 'app.gone' here: deploy")


def test_an_exception_is_one_line_and_a_traceback_of_the_tasks_own_frames() -> None:
    outcome = failure_of(raises, ValueError("first\nsecond\tthird"))
    assert outcome.error == "ValueError: first second third"
    assert outcome.traceback.startswith("Traceback (most recent call last):\n")
    assert outcome.traceback.endswith("ValueError: first\nsecond\tthird\n")
    assert "in raises" in outcome.traceback
    assert "django_app" not in outcome.traceback


@pytest.mark.parametrize("function", [raises, raises_later])
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), Odd()],
    ids=lambda error: type(error).__name__,
)
def test_a_task_that_raises_anything_at_all_has_failed(function: Callable[..., Any], error: BaseException) -> None:
    assert failure_of(function, error).error.startswith(f"{type(error).__name__}:")


def test_errors_are_bounded_and_the_tracebacks_end_is_kept() -> None:
    outcome = failure_of(raises, ValueError("x" * 50_000 + "end"))
    assert len(outcome.error) == 1000
    assert len(outcome.traceback) == 20_000
    assert outcome.traceback.endswith("end\n")


def test_errors_hold_nothing_that_postgresql_cannot() -> None:
    outcome = failure_of(raises, ValueError("nul \x00 surrogate \ud800"))
    assert outcome.error == "ValueError: nul \\x00 surrogate \\ud800"
    for text in (outcome.error, outcome.traceback):
        assert "\x00" not in text
        text.encode()


@pytest.mark.parametrize("obstacle", [RuntimeError, KeyboardInterrupt, Odd])
def test_an_exception_that_cannot_be_shown_is_told_too(obstacle: type[BaseException]) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise obstacle

        def __getattribute__(self, name: str) -> Any:
            raise obstacle

    outcome = failure_of(raises, MuteError())
    assert outcome.error == "MuteError: (its message cannot be shown)"
    assert outcome.traceback == "(its traceback cannot be shown)"


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "[" + "1" * 5001 + "]"], ids=["deep", "long"])
def test_arguments_that_python_cannot_decode_are_a_failure(text: str) -> None:
    task(name="app.any")(lambda *args: None)
    outcome = run_task(claimed("app.any")._replace(args_json=text))
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("ValueError: args cannot be read: ")


def test_a_recursion_error_is_a_failure() -> None:
    def endless() -> None:
        endless()

    assert failure_of(endless).error.startswith("RecursionError: ")


def test_an_async_task_is_awaited() -> None:
    seen: list[int] = []

    async def later(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)
        if number < 0:
            raise ValueError("negative")

    task(name="app.later")(later)
    assert run_task(claimed("app.later", 4)) == Done()
    assert run_task(claimed("app.later", -1)).__class__ is Failed
    assert seen == [4, -1]


def test_a_language_that_a_task_activates_ends_with_it() -> None:
    task(name="app.german")(lambda: translation.activate("de"))
    before = translation.get_language()
    run_task(claimed("app.german"))
    assert translation.get_language() == before != "de"


def begin_by_hand() -> None:
    connection.cursor().execute("BEGIN")
    Task.objects.create(name="never.committed")


def enter_and_stay() -> None:
    transaction.atomic().__enter__()
    Task.objects.create(name="never.committed")
    transaction.on_commit(lambda: pytest.fail("a later task committed for this one"))


def close_inside() -> None:
    enter_and_stay()
    connection.close()


def break_inside() -> None:
    enter_and_stay()
    with pytest.raises(DatabaseError):
        connection.cursor().execute("SELECT 1/0")


def switch_autocommit_off() -> None:
    connection.set_autocommit(False)
    Task.objects.create(name="never.committed")


@pytest.mark.usefixtures("persistent")
@pytest.mark.parametrize("careless", [begin_by_hand, enter_and_stay, close_inside, break_inside, switch_autocommit_off])
def test_a_transaction_left_open_fails_its_task_and_no_other(careless: Callable[[], None], connect: Connect) -> None:
    def write() -> None:
        Task.objects.create(name="by.itself")
        with transaction.atomic():
            Task.objects.create(name="in.a.block")

    task(name="app.write")(write)
    assert "left a transaction open on 'default': its writes were rolled back" in failure_of(careless).error
    assert run_task(claimed("app.write")) == Done()
    committed = connect().execute("SELECT name FROM pgsupervise_task ORDER BY name").fetchall()
    assert committed == [("by.itself",), ("in.a.block",)]


@pytest.mark.usefixtures("persistent")
def test_a_task_that_fails_with_a_transaction_open_keeps_its_own_error() -> None:
    def fail_inside() -> None:
        enter_and_stay()
        raise ValueError("the reason")

    assert failure_of(fail_inside).error == "ValueError: the reason"
    assert not connection.in_atomic_block
    assert not Task.objects.exists()


@pytest.mark.usefixtures("persistent")
def test_a_connection_left_without_autocommit_but_committed_is_closed() -> None:
    def forgetful() -> None:
        connection.set_autocommit(False)
        Task.objects.create(name="committed")
        transaction.commit()

    task(name="app.forgetful")(forgetful)
    assert run_task(claimed("app.forgetful")) == Done()
    assert connection.get_autocommit()
    assert Task.objects.filter(name="committed").exists()


@pytest.mark.usefixtures("persistent")
def test_trouble_with_tidying_is_no_trouble_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwilling() -> None:
        raise Odd

    task(name="app.query")(Task.objects.count)
    assert run_task(claimed("app.query")) == Done()
    first = connection.connection
    with monkeypatch.context() as patched:
        patched.setattr(connections["default"], "close_if_unusable_or_obsolete", unwilling)
        assert run_task(claimed("app.query")) == Done()
    assert connection.connection is None
    first.close()
    assert run_task(claimed("app.query")) == Done()


@pytest.mark.usefixtures("persistent")
def test_a_broken_connection_costs_one_task_only() -> None:
    def query() -> int:
        return Task.objects.count()

    def cut() -> None:
        connection.connection.close()
        query()

    task(name="app.query")(query)
    task(name="app.cut")(cut)
    assert run_task(claimed("app.query")) == Done()
    assert isinstance(run_task(claimed("app.cut")), Failed)
    assert run_task(claimed("app.query")) == Done()


@pytest.mark.usefixtures("persistent")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns where there are threads
@pytest.mark.parametrize("function", [raises, raises_later])
@pytest.mark.parametrize(("error", "code"), [(None, 0), (SystemExit(), 0), (SystemExit(5), 5), (Odd(), 1)], ids=repr)
def test_a_forked_child_ends_with_its_task(
    function: Callable[..., Any], error: BaseException | None, code: int
) -> None:
    worker = os.getpid()
    children: list[int] = []

    def fork() -> Any:
        children.append(os.fork())
        if error is not None and os.getpid() != worker:
            return function(error)
        return asyncio.sleep(0) if function is raises_later else None

    async def fork_later() -> None:
        result = fork()
        await result

    task(name="app.fork")(fork_later if function is raises_later else fork)
    task(name="app.query")(Task.objects.count)
    assert run_task(claimed("app.query")) == Done()
    outcome = run_task(claimed("app.fork"))
    if os.getpid() != worker:
        os._exit(77)  # the child goes on in the worker's loop: here, in the tests
    assert outcome == Done()
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == code
    assert run_task(claimed("app.query")) == Done(), "the child has not closed its parent's connection"
