"""A soft timeout of an async task cancels it at its next await, in whichever thread it runs."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.django_app.task_runner import run_task
from pgsupervise.django_app.tasks import task
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed, TaskOutcome
from tests.registries import own_registries

LIMIT = 0.1
TIMED_OUT = f"SoftTimeoutError: the task ran longer than its soft timeout of {LIMIT} s"


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


def run_limited(function: Callable[[], Any]) -> TaskOutcome:
    task(name="app.limited", soft_timeout=timedelta(seconds=LIMIT))(function)
    return run_task(ClaimedTask(1, 2, 3, "app.limited", "[]", "{}", 1, 5, 0, ""))


def error_of(outcome: TaskOutcome) -> str:
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def test_an_async_task_is_interrupted_at_its_await() -> None:
    began = time.monotonic()
    outcome = run_limited(lambda: asyncio.sleep(30))
    assert error_of(outcome) == TIMED_OUT
    assert LIMIT <= time.monotonic() - began < 5


def test_an_async_task_is_interrupted_in_any_thread() -> None:
    outcomes: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run_limited(lambda: asyncio.sleep(30))))
    thread.start()
    thread.join()
    assert [error_of(outcome) for outcome in outcomes] == [TIMED_OUT]


async def tidy() -> None:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(2 * LIMIT)


async def time_out_alone() -> None:
    raise TimeoutError("of its own")


async def fail_at_the_end() -> None:
    try:
        await asyncio.sleep(30)
    finally:
        raise ValueError("while tidying")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (tidy, None),
        (lambda: asyncio.sleep(0), None),
        (time_out_alone, "TimeoutError: of its own"),
        (fail_at_the_end, "ValueError: while tidying"),
    ],
)
def test_an_async_task_may_make_something_else_of_it(function: Callable[[], Any], error: str | None) -> None:
    outcome = run_limited(function)
    assert outcome == Done() if error is None else error_of(outcome) == error
