"""The parts of a channel's budget, with a clock of the test's: whoever owns what, together they never exceed it."""

import random
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsupervise.partitions.buckets import BUCKETS
from pgsupervise.supervisor.budget import HELD_SECONDS, LEAD_SECONDS, Budget
from pgsupervise.supervisor.limits import Limit, seats
from pgsupervise.supervisor.ownership import Ownership

CALL_SECONDS = 2.0


@dataclass
class Cluster:
    """Workers with real ownerships, whose buckets move as leases do: let go, released, acquired by somebody else."""

    limit: Limit
    workers: int
    now: float = 100.0
    ownerships: list[Ownership] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    epoch: int = 1

    def __post_init__(self) -> None:
        rand = random.Random(7).random
        for _ in range(self.workers):
            ownership = Ownership(timedelta(days=1), lambda: self.now)
            ownership.renewed(self.now)
            self.ownerships.append(ownership)
            self.budgets.append(Budget(self.limit, ownership.settled, CALL_SECONDS, lambda: self.now, rand))

    def give(self, worker: int, buckets: Collection[int]) -> None:
        self.epoch += 1
        self.ownerships[worker].adopt(dict.fromkeys(buckets, self.epoch))

    def move(self, giver: int, taker: int, buckets: Collection[int]) -> None:
        owned = [bucket for bucket in buckets if bucket in self.ownerships[giver].owned()]
        self.ownerships[giver].let_go(owned)
        self.ownerships[giver].forget(owned)
        self.give(taker, owned)

    def send_all(self, worker: int) -> int:
        """Begin whatever may be begun now, and end it at once."""
        begun = 0
        budget = self.budgets[worker]
        for _ in range(budget.allowance()):
            budget.claimed()
            if budget.begin():
                budget.left()
                break
            budget.end()
            begun += 1
        return begun


def most_in_a_second(times: list[float]) -> int:
    return max((bisect_left(times, at + 1) - place for place, at in enumerate(times)), default=0)


def spread(cluster: Cluster) -> None:
    for worker in range(cluster.workers):
        cluster.give(worker, range(worker * BUCKETS // cluster.workers, (worker + 1) * BUCKETS // cluster.workers))


@settings(max_examples=30)
@given(
    per_second=st.sampled_from([0.3, 1, 7, 40, 300]),
    workers=st.integers(1, 6),
    moves=st.lists(st.tuples(st.floats(0, 9), st.integers(0, 5), st.integers(0, 5), st.integers(0, 255)), max_size=12),
    step=st.sampled_from([0.02, 0.043, 0.2, 1.3]),
    idle=st.lists(st.floats(0, 9), min_size=6, max_size=6),
)
def test_in_no_second_all_workers_together_begin_more_than_the_budget_and_the_stated_burst(
    per_second: float, workers: int, moves: list[tuple[float, int, int, int]], step: float, idle: list[float]
) -> None:
    """Each worker has nothing to send at first, for so long, and then more than it may."""
    cluster = Cluster(Limit(per_second=per_second), workers)
    spread(cluster)
    begin, times = cluster.now, []
    pending = sorted(moves)
    while cluster.now < begin + 10:
        while pending and begin + pending[0][0] <= cluster.now:
            _, giver, taker, first = pending.pop(0)
            cluster.move(giver % workers, taker % workers, range(first, min(256, first + 100)))
        for worker in range(workers):
            cluster.budgets[worker].allowance()
            if cluster.now >= begin + idle[worker]:
                times += [cluster.now] * cluster.send_all(worker)
        cluster.now += step
    assert most_in_a_second(times) <= per_second * (1 + HELD_SECONDS) + workers
    assert len(times) <= per_second * (10 + HELD_SECONDS + step) + workers


@pytest.mark.parametrize(("per_second", "workers"), [(2, 8), (1, 1), (20, 3), (200, 4)])
def test_the_budget_is_used_up_also_where_a_part_is_less_than_one_message(per_second: float, workers: int) -> None:
    cluster = Cluster(Limit(per_second=per_second), workers)
    spread(cluster)
    sent = 0
    for _ in range(2_500):
        sent += sum(cluster.send_all(worker) for worker in range(workers))
        cluster.now += 0.02
    assert sent >= 0.95 * per_second * 50 - 2 * workers


def test_who_owns_nothing_sends_nothing_and_asks_for_no_wake_up() -> None:
    cluster = Cluster(Limit(per_second=100, in_flight=100), 2)
    cluster.give(0, range(256))
    cluster.now += 60
    assert cluster.send_all(0) == 0, "its part counts from the first look"
    cluster.now += 1
    assert (cluster.send_all(0) > 0, cluster.send_all(1)) == (True, 0)
    assert cluster.budgets[1].seconds_to_next() == float("inf")
    assert cluster.budgets[1].begin() > 0


def test_what_was_saved_up_goes_with_the_buckets() -> None:
    cluster = Cluster(Limit(per_second=100), 2)
    cluster.give(0, range(256))
    cluster.now += 5
    cluster.budgets[0].allowance()
    cluster.now += 5
    assert cluster.budgets[0].allowance() == int(1 + 100 * HELD_SECONDS + 100 * LEAD_SECONDS)
    cluster.ownerships[0].let_go(range(256))
    assert cluster.budgets[0].allowance() == 0, "it need not have released them yet"


def test_calls_under_way_wait_until_those_of_the_former_owner_must_be_over() -> None:
    cluster = Cluster(Limit(in_flight=4), 2)
    cluster.give(0, range(256))
    cluster.now += 10
    assert cluster.budgets[0].allowance() == 4
    for _ in range(4):
        cluster.budgets[0].claimed()
        assert cluster.budgets[0].begin() == 0
    cluster.move(0, 1, range(128, 256))
    assert cluster.budgets[1].allowance() == 0
    cluster.now += CALL_SECONDS
    assert cluster.budgets[1].allowance() == 0, "a call may be over a little later than it should"
    cluster.now += 1
    assert cluster.budgets[1].allowance() == 2
    assert cluster.budgets[0].seconds_to_next() == float("inf"), "an answer is what it waits for"
    cluster.budgets[0].end()
    assert cluster.budgets[0].allowance() == 0, "three are under way, and two may be"


@pytest.mark.parametrize("calls", [1, 2, 3, 7, 8, 100, 300, 1000])
def test_each_call_belongs_to_one_bucket_and_parts_have_what_they_should(calls: int) -> None:
    found = seats(calls)
    assert len(found) == calls
    assert all(0 <= bucket < BUCKETS for bucket in found)
    for parts in (1, 2, 4, 8):
        width = BUCKETS // parts
        counts = [sum(bucket // width == part for bucket in found) for part in range(parts)]
        assert max(counts) - min(counts) <= 1


def test_a_claimed_message_that_is_not_begun_is_free_for_another() -> None:
    cluster = Cluster(Limit(in_flight=1), 1)
    cluster.give(0, range(256))
    cluster.now += 10
    budget = cluster.budgets[0]
    budget.claimed()
    assert budget.allowance() == 0
    budget.left()
    assert budget.allowance() == 1


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit(per_second=0), "per_second is 0"),
        (Limit(per_second=True), "per_second is True"),
        (Limit(per_second=float("nan")), "per_second is nan"),
        (Limit(per_second="5"), "per_second is '5'"),  # type: ignore[arg-type]  # the fault under test
        (Limit(in_flight=0), "in_flight is 0"),
        (Limit(in_flight=1.5), "in_flight is 1.5"),  # type: ignore[arg-type]  # the fault under test
    ],
)
def test_a_bad_limit_is_told(limit: Limit, words: str) -> None:
    (fault,) = limit.problems()
    assert fault.startswith(words)
    assert Limit(per_second=0.5, in_flight=3).problems() == []
