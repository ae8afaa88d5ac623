"""Buckets and partitions: stored rows depend on them for ever."""

import hashlib
import math
from collections import Counter
from itertools import groupby, islice

import pytest

from pgsupervise.partitions.buckets import (
    BUCKETS,
    LONGEST_RUN,
    bucket_of,
    first_bucket,
    partition_of,
    partition_range,
    random_bucket,
    spread_buckets,
)


def test_the_bucket_is_the_first_byte_of_sha256_in_utf8() -> None:
    assert bucket_of("abc") == 0xBA  # the test vector of FIPS 180-2, appendix B.1
    assert bucket_of("Zoë") == hashlib.sha256(b"Zo\xc3\xab").digest()[0]


def test_keys_spread_over_all_buckets() -> None:
    assert {bucket_of(f"user-{number}") for number in range(5000)} == set(range(BUCKETS))
    assert {random_bucket() for _ in range(10_000)} == set(range(BUCKETS))


@pytest.mark.parametrize("partitions", range(1, BUCKETS + 1))
def test_partitions_are_contiguous_cover_every_bucket_once_and_differ_by_one_at_most(partitions: int) -> None:
    ranges = [partition_range(partition, partitions) for partition in range(partitions)]
    assert [bucket for buckets in ranges for bucket in buckets] == list(range(BUCKETS))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1
    assert first_bucket(partitions, partitions) == BUCKETS


@pytest.mark.parametrize("partitions", [1, 3, 7, 8, 12, 16, 100, 255, 256])
def test_partition_of_is_the_inverse_of_partition_range(partitions: int) -> None:
    for partition in range(partitions):
        assert {partition_of(bucket, partitions) for bucket in partition_range(partition, partitions)} == {partition}


def test_few_rows_without_a_key_are_spread_as_far_as_possible() -> None:
    assert sorted(islice(spread_buckets(), BUCKETS)) == list(range(BUCKETS))
    assert list(islice(spread_buckets(), BUCKETS)) != list(range(BUCKETS))


@pytest.mark.parametrize("rows", [1_000, 20_000, 100_000, 400_000])
def test_many_rows_without_a_key_are_spread_evenly_and_in_runs(rows: int) -> None:
    buckets = list(islice(spread_buckets(), rows))
    counts = Counter(buckets)
    assert len(counts) == BUCKETS
    assert max(counts.values()) <= 2 * min(counts.values()) + 1
    runs = [len(list(run)) for _, run in groupby(buckets)]
    assert max(runs) <= 2 * LONGEST_RUN
    assert len(runs) <= BUCKETS * math.ceil(math.log2(rows / BUCKETS) + 1) + rows // LONGEST_RUN
