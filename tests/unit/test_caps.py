"""Frequency caps: never more than the count in any period, nothing lost, nothing overtaken."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.django_app.policies import Policy
from pgsupervise.partitions.caps import Cap

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = st.integers(0, 2000).map(lambda amount: timedelta(minutes=amount))


@given(st.lists(MINUTES, max_size=40), st.integers(1, 5), st.integers(1, 600))
def test_no_period_has_more_than_the_count(arrivals: list[timedelta], count: int, minutes: int) -> None:
    cap = Cap(count, per=timedelta(minutes=minutes))
    sent: list[datetime] = []
    for arrival in sorted(arrivals):
        sent.append(cap.allowed_at(START + arrival, sent))
        assert sent[-1] >= START + arrival
    assert sent == sorted(sent)
    for at in sent:
        assert sum(at <= other < at + cap.per for other in sent) <= count


@given(st.lists(MINUTES, max_size=40), st.integers(1, 5))
def test_nobody_waits_for_nothing(arrivals: list[timedelta], count: int) -> None:
    cap = Cap(count, per=timedelta(hours=1))
    sent: list[datetime] = []
    for arrival in sorted(arrivals):
        at = START + arrival
        free = sum(at - cap.per < other for other in sent) < count
        sent.append(cap.allowed_at(at, sent))
        assert (sent[-1] == at) == free


def test_a_digest_overtakes_none_that_waits() -> None:
    later = START + timedelta(hours=9)
    assert Cap(5, per=timedelta(hours=1)).allowed_at(START, [later]) == later


@pytest.mark.parametrize(
    ("cap", "told"),
    [
        (Cap(0, per=timedelta(1)), "count 0: it must be an int from 1"),
        (Cap(1001, per=timedelta(1)), "count 1001"),
        (Cap(True, per=timedelta(1)), "count True"),
        (Cap(1, per=timedelta(0)), "more than zero"),
        (Cap(1, per=timedelta(days=900)), "at most 366 days"),
        (Cap(1, per=60), "it must be a timedelta"),  # type: ignore[arg-type]
        ((1, 60), "cap is (1, 60): it must be Cap(count, per=timedelta), or None"),
    ],
)
def test_a_faulty_cap_is_refused_when_it_is_declared(cap: Cap, told: str) -> None:
    (problem,) = Policy(name="p", window=timedelta(hours=1), cap=cap).problems()
    assert told in problem
