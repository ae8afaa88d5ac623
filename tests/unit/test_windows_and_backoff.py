"""Windows in event time, and waits between tries."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from pgsupervise.partitions.backoff import SEND_RETRY, TASK_RETRY, Backoff
from pgsupervise.partitions.rows import PendingEvent
from pgsupervise.partitions.windows import WindowRule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def event(at: datetime) -> PendingEvent:
    return PendingEvent(1, "comments", "ada", "", "", at)


def test_a_fixed_window_is_set_by_the_opener_alone() -> None:
    rule = WindowRule(window=HOUR)
    end = rule.opens(event(NOON))
    assert end == NOON + HOUR
    assert rule.extends(NOON, NOON + HOUR / 2, end) == end


def test_a_sliding_window_moves_with_each_event_up_to_its_cap() -> None:
    rule = WindowRule(window=HOUR, sliding_max=2 * HOUR)
    end = rule.opens(event(NOON))
    assert end == NOON + HOUR
    end = rule.extends(NOON, NOON + HOUR / 2, end)
    assert end == NOON + HOUR * 1.5
    assert rule.extends(NOON, NOON + HOUR * 1.4, end) == NOON + 2 * HOUR


def test_a_late_event_never_shortens_a_sliding_window() -> None:
    rule = WindowRule(window=HOUR, sliding_max=DAY)
    assert rule.extends(NOON, NOON - DAY, NOON + HOUR) == NOON + HOUR


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (WindowRule(window=timedelta(0)), "longer than zero"),
        (WindowRule(window=-HOUR), "longer than zero"),
        (WindowRule(window=5000 * DAY), "longer than 3660 days"),
        (WindowRule(window=HOUR, sliding_max=timedelta.max), "longer than 3660 days"),
        (WindowRule(window=HOUR, sliding_max=HOUR / 2), "raise it"),
        (WindowRule(window=HOUR, flush_at=0), "at least 1"),
    ],
)
def test_a_faulty_rule_says_what_is_wrong_and_the_cure(rule: WindowRule, word: str) -> None:
    (problem,) = rule.problems()
    assert word in problem


def test_a_sound_rule_has_no_problems() -> None:
    assert WindowRule(window=HOUR, sliding_max=HOUR, flush_at=1).problems() == []


def test_the_wait_is_random_below_a_ceiling_that_doubles_up_to_its_cap() -> None:
    backoff = Backoff(timedelta(seconds=2), timedelta(seconds=60))
    rand = random.Random(1)
    for tries, ceiling in [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (10_000, 60)]:
        waits = [backoff.delay(tries, rand).total_seconds() for _ in range(300)]
        assert 0 <= min(waits) < ceiling * 0.1
        assert ceiling * 0.9 < max(waits) <= ceiling


def test_the_default_backoffs_survive_any_number_of_tries() -> None:
    for backoff in (TASK_RETRY, SEND_RETRY):
        assert backoff.delay(10**6) <= backoff.cap
