"""Running a claimed task: what it raises is an outcome, and the next task starts clean."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import translation

from pgsupervise.django_app.models import Task
from pgsupervise.django_app.task_runner import run_task, task_names
from pgsupervise.django_app.tasks import task
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed
from tests.registries import own_registries


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


def claimed(name: str, *args: Any, **kwargs: Any) -> ClaimedTask:
    return ClaimedTask(1, 2, 3, name, list(args), kwargs, 1, 5, 0, "")


def failure_of(function: Callable[..., Any], *args: Any) -> Failed:
    task(name="app.failing")(function)
    outcome = run_task(claimed("app.failing", *args))
    assert isinstance(outcome, Failed)
    return outcome


def raises(error: BaseException) -> None:
    raise error


def test_a_task_that_returns_is_done() -> None:
    seen: list[Any] = []
    task(name="app.see")(lambda *args, **kwargs: seen.append((args, kwargs)))
    assert run_task(claimed("app.see", 1, [2], key={"a": 3})) == Done()
    assert seen == [((1, [2]), {"key": {"a": 3}})]


def test_the_names_are_sorted() -> None:
    for name in ("b.task", "a.task"):
        task(name=name)(lambda: None)
    names = list(task_names())
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


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
def test_a_task_that_exits_or_is_interrupted_has_failed(error: BaseException) -> None:
    assert failure_of(raises, error).error.startswith(f"{type(error).__name__}:")


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


def test_an_exception_without_a_message_of_its_own_is_told_too() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert failure_of(raises, MuteError()).error == "MuteError: (its message cannot be shown)"


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


@pytest.mark.usefixtures("db")
def test_a_connection_left_without_autocommit_is_closed() -> None:
    def forgetful() -> None:
        connection.set_autocommit(False)
        Task.objects.create(name="never.committed")

    task(name="app.forgetful")(forgetful)
    assert run_task(claimed("app.forgetful")) == Done()
    assert not Task.objects.filter(name="never.committed").exists()
    assert connection.get_autocommit()


@pytest.mark.usefixtures("db")
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
