"""Timeouts are declared with the task; what cannot be is refused at once, all of it in one message."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.django_app.task_runner import task_specs
from pgsupervise.django_app.tasks import task
from pgsupervise.supervisor.project import TaskSpec
from tests.registries import own_registries

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


def work() -> None: ...


def refused(error: type[Exception], **options: Any) -> str:
    with pytest.raises(error) as raised:
        task(name="app.work", **options)(work)
    return str(raised.value)


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({}, TaskSpec(hard_timeout=None, retry_timeout=True)),
        ({"soft_timeout": SECOND}, TaskSpec(hard_timeout=None, retry_timeout=True)),
        ({"hard_timeout": SECOND}, TaskSpec(hard_timeout=SECOND, retry_timeout=True)),
        ({"hard_timeout": SECOND, "on_timeout": "retry"}, TaskSpec(hard_timeout=SECOND, retry_timeout=True)),
        ({"hard_timeout": SECOND, "on_timeout": "dead"}, TaskSpec(hard_timeout=SECOND, retry_timeout=False)),
    ],
)
def test_the_processes_are_told_the_hard_timeout_and_what_it_means(options: dict[str, Any], spec: TaskSpec) -> None:
    task(name="app.work", **options)(work)
    assert task_specs()["app.work"] == spec


def test_the_widest_limits_are_accepted_and_kept_by_a_copy() -> None:
    declared = task(
        name="app.work",
        soft_timeout=timedelta(microseconds=1),
        hard_timeout=30 * DAY,
        on_timeout="dead",
    )(work)
    copy = declared.using(key="k")
    assert copy.limits == declared.limits
    assert (copy.limits.soft_timeout, copy.limits.hard_timeout) == (timedelta(microseconds=1), 30 * DAY)


@pytest.mark.parametrize("which", ["soft_timeout", "hard_timeout"])
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (30, TypeError, r"is 30 (int): it must be a timedelta, such as timedelta(seconds=30), or None for no limit"),
        (1.5, TypeError, "is 1.5 (float): it must be a timedelta"),
        (True, TypeError, "is True (bool): it must be a timedelta"),
        ("1m", TypeError, "is '1m' (str): it must be a timedelta"),
        (timedelta(0), ValueError, "is 0:00:00: it must be longer than zero; None is no limit"),
        (-DAY, ValueError, "is -1 day, 0:00:00: it must be longer than zero"),
        (30 * DAY + SECOND, ValueError, "is 30 days, 0:00:01: it must be at most 30 days; None is no limit"),
    ],
)
def test_a_length_that_is_none_is_refused_with_the_cure(
    which: str, value: object, error: type[Exception], words: str
) -> None:
    assert refused(error, **{which: value}).startswith(f"task 'app.work': {which} {words}")


@pytest.mark.parametrize("soft", [SECOND, 2 * SECOND])
def test_the_soft_timeout_must_leave_time_before_the_hard_one(soft: timedelta) -> None:
    message = refused(ValueError, soft_timeout=soft, hard_timeout=SECOND)
    assert f"soft_timeout is {soft} and hard_timeout is 0:00:01: make the soft one shorter" in message


@pytest.mark.parametrize(
    ("value", "error"), [("Dead", ValueError), ("", ValueError), (7, TypeError), (["dead"], TypeError)]
)
def test_a_timeout_means_retry_or_dead_and_nothing_else(value: object, error: type[Exception]) -> None:
    message = refused(error, hard_timeout=SECOND, on_timeout=value)
    assert message == f"task 'app.work': on_timeout is {value!r}: it must be 'retry' or 'dead'"


@pytest.mark.parametrize("value", ["retry", "dead"])
def test_what_a_timeout_means_needs_a_hard_timeout(value: str) -> None:
    message = refused(ValueError, soft_timeout=SECOND, on_timeout=value)
    assert f"on_timeout is '{value}', but it is about a hard_timeout and there is none" in message


def test_all_faults_of_a_declaration_are_told_at_once() -> None:
    faulty = {"soft_timeout": -SECOND, "hard_timeout": 5, "on_timeout": "never", "max_attempts": 0, "priority": "x"}
    message = refused(TypeError, **faulty)
    assert message.startswith("task 'app.work': ")
    for fault in ("priority is 'x'", "max_attempts is 0", "soft_timeout is -1 day", "hard_timeout is 5", "'never'"):
        assert fault in message


def test_a_refused_task_is_not_registered() -> None:
    refused(ValueError, soft_timeout=-SECOND)
    assert "app.work" not in task_specs()
