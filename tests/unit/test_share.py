"""The goal of who owns what: complete, fair, the same for everyone who computes it."""

from collections import Counter
from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.partitions.buckets import BUCKETS, partition_of
from pgsupervise.partitions.rows import LiveWorker
from pgsupervise.supervisor.share import targets


def team(partitions: int, processes: int | None = None, *, draining: frozenset[int] = frozenset()) -> list[LiveWorker]:
    supervisor, count = uuid4(), processes or partitions
    return [LiveWorker(uuid4(), supervisor, slot, partitions, count, slot in draining) for slot in range(count)]


def buckets_of(goal: Mapping[int, UUID], workers: list[LiveWorker]) -> int:
    counts = Counter(goal.values())
    return sum(counts[worker.id] for worker in workers)


def test_one_supervisor_gives_each_slot_its_own_partition() -> None:
    workers = team(8)
    goal = targets(workers)
    assert all(goal[bucket] == workers[partition_of(bucket, 8)].id for bucket in range(BUCKETS))


def test_two_supervisors_of_eight_get_four_partitions_each() -> None:
    one, other = team(8), team(8)
    goal = targets(one + other)
    assert (buckets_of(goal, one), buckets_of(goal, other)) == (128, 128)
    assert Counter(Counter(goal.values()).values()) == {32: 8}


def test_eight_and_sixteen_partitions_meet_where_a_partition_of_both_begins() -> None:
    eight, sixteen = team(8), team(16)
    goal = targets(eight + sixteen)
    assert (buckets_of(goal, eight), buckets_of(goal, sixteen)) == (96, 160)


def test_a_supervisor_with_fewer_workers_gets_fewer_partitions() -> None:
    small, large = team(16, 4), team(16, 12)
    goal = targets(small + large)
    assert (buckets_of(goal, small), buckets_of(goal, large)) == (64, 192)
    assert set(Counter(goal.values()).values()) == {16}, "each worker serves as much as any other"


def test_workers_beyond_the_partitions_stand_by_and_count_for_nothing() -> None:
    spare, plain = team(4, 12), team(4)
    goal = targets(spare + plain)
    assert (buckets_of(goal, spare), buckets_of(goal, plain)) == (128, 128)
    alone = targets(spare)
    assert set(alone.values()) == {worker.id for worker in spare[:4]}
    without_the_first = targets(spare[1:])
    assert spare[4].id in without_the_first.values(), "a spare one steps in"


def test_where_there_is_not_enough_for_all_the_oldest_go_on_and_the_newest_stand_by() -> None:
    old, new = team(1), team(1)
    assert set(targets(old + new).values()) == {old[0].id}


def test_partitions_without_a_common_cut_stay_with_the_oldest() -> None:
    three, eight = team(3), team(8)
    goal = targets(three + eight)
    assert buckets_of(goal, three) == BUCKETS


def test_a_slot_that_is_away_is_stood_in_for_and_the_others_keep_theirs() -> None:
    workers = team(8)
    before, after = targets(workers), targets(workers[:3] + workers[4:])
    moved = {bucket for bucket in before if before[bucket] != after[bucket]}
    assert {before[bucket] for bucket in moved} == {workers[3].id}


def test_a_draining_worker_is_given_nothing() -> None:
    workers = team(4, draining=frozenset({2}))
    goal = targets(workers)
    assert len(goal) == BUCKETS
    assert workers[2].id not in goal.values()


def test_nobody_alive_means_no_goal() -> None:
    assert targets([]) == {}


@given(st.lists(st.sampled_from([1, 2, 3, 5, 8, 12, 16, 64, 256]), min_size=1, max_size=5))
def test_every_bucket_has_exactly_one_worker_whatever_the_sizes(sizes: list[int]) -> None:
    goal = targets([worker for size in sizes for worker in team(size, min(size, 9))])
    assert sorted(goal) == list(range(BUCKETS))


@pytest.mark.parametrize(("teams", "partitions"), [(1, 8), (2, 8), (3, 8), (5, 8), (3, 16), (7, 256)])
def test_supervisors_of_one_size_share_floor_or_ceiling(teams: int, partitions: int) -> None:
    groups = [team(partitions, 2) for _ in range(teams)]
    goal = targets([worker for group in groups for worker in group])
    shares = [buckets_of(goal, group) * partitions / BUCKETS for group in groups]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1
