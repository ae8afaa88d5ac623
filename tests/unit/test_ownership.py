"""What a worker's threads may do with a bucket, and for how long it may trust its leases."""

from datetime import timedelta

import pytest

from pgsupervise.supervisor.ownership import Ownership


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ownership(clock: Clock) -> Ownership:
    made = Ownership(timedelta(seconds=6), clock)
    made.renewed(clock.now)
    made.adopt({1: 10, 2: 20})
    return made


def test_trust_is_counted_from_when_the_renewal_was_sent(ownership: Ownership, clock: Clock) -> None:
    sent_at = clock.now
    clock.now += 5  # the reply took this long
    ownership.renewed(sent_at)
    assert ownership.trusted()
    clock.now = sent_at + 6
    assert not ownership.trusted()


def test_without_trust_no_bucket_is_entered(ownership: Ownership, clock: Clock) -> None:
    clock.now += 60
    assert ownership.enter(1) is None


def test_entering_gives_the_epoch_and_only_of_what_is_owned(ownership: Ownership) -> None:
    assert ownership.enter(1) == 10
    assert ownership.enter(3) is None


def test_a_bucket_in_use_is_let_go_only_when_the_last_thread_has_left(ownership: Ownership) -> None:
    ownership.enter(1)
    ownership.hold(1)
    ownership.let_go([1, 2])
    assert ownership.enter(1) is None
    assert ownership.is_leaving(1)
    assert ownership.idle_leaving() == {2}
    ownership.leave(1)
    assert ownership.idle_leaving() == {2}
    ownership.leave(1)
    assert ownership.idle_leaving() == {1, 2}
    ownership.forget([1, 2])
    assert ownership.owned() == {}
    assert ownership.leaving() == set()


def test_a_lost_bucket_counts_as_leaving_for_who_is_inside(ownership: Ownership) -> None:
    ownership.enter(1)
    ownership.forget([1])
    assert ownership.is_leaving(1)
    ownership.leave(1)
