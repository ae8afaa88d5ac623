"""Every fault of the options at once, each naming the value and the cure."""

from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.supervisor.config import Config

S = timedelta(seconds=1)
FAULTY: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"beat": 4 * S, "dead_after": 10 * S}, ("--dead-after is 10 s", "three beats of 4 s", "shorten --beat")),
    ({"max_tasks": 0}, ("--max-tasks is 0", "at least 1")),
    ({"max_tasks": -3}, ("--max-tasks is -3", "leave it out")),
    ({"max_memory": 0}, ("--max-memory is 0", "at least 1")),
    ({"max_age": 0 * S}, ("--max-age is 0 s", "more than zero")),
    ({"max_age": -1 * S}, ("--max-age is -1 s", "more than zero")),
    ({"grace_period": 0 * S}, ("--grace-period is 0 s", "more than zero")),
    ({"drain_timeout": -1 * S}, ("--drain-timeout is -1 s", "more than zero")),
    ({"grace_period": 29 * S}, ("--drain-timeout is 25 s", "grace period of 29 s", "terminationGracePeriodSeconds")),
    ({"partitions": 0}, ("--partitions is 0", "from 1 to 256")),
    ({"processes": 0}, ("--processes is 0", "from 1 to 256")),
]


@pytest.mark.parametrize(("options", "parts"), FAULTY)
def test_a_faulty_option_is_refused_with_its_value_and_the_cure(
    options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    found = [fault for fault in Config(**options).problems() if all(part in fault for part in parts)]
    assert len(found) == 1


def test_all_faults_are_told_at_once() -> None:
    config = Config(partitions=0, beat=-1 * S, max_tasks=0, max_age=-1 * S, grace_period=1 * S)
    assert len(config.problems()) == 5


def test_the_defaults_and_a_grace_period_that_just_fits_are_fine() -> None:
    assert Config().problems() == []
    assert Config(grace_period=30 * S, max_tasks=1, max_memory=1, max_age=1 * S).problems() == []
