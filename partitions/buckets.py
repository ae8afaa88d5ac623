"""Which bucket a key belongs to, and which buckets a partition has. Fixed for ever: stored rows depend on it."""

import hashlib
import random
from collections.abc import Iterator
from itertools import chain, repeat

BUCKETS = 256
LONGEST_RUN = 512
"""So many neighbours among rows without a key share a bucket at most: what a worker claims at once."""


def bucket_of(key: str) -> int:
    """Return the key's bucket, 0..255: the first byte of SHA-256 of the key in UTF-8.

    The tables hold a CHECK constraint with the same expression in SQL, so a producer that computes it otherwise is
    refused and its row is not lost in a bucket where nobody looks for it.
    """
    return hashlib.sha256(key.encode()).digest()[0]


def random_bucket() -> int:
    """Return a bucket for a row without a key: any one will do, so the rows are spread evenly."""
    return random.getrandbits(8)


def spread_buckets() -> Iterator[int]:
    """Yield buckets for many rows without a key: in random order, evenly, and in runs that grow with their number.

    A few rows go to as many workers as can be. Of many rows neighbours share a bucket: whoever claims a chunk finds it
    on a few pages of the table instead of on as many as it has rows.
    """
    order = random.sample(range(BUCKETS), BUCKETS)
    for run in chain((2**n for n in range(9)), repeat(LONGEST_RUN)):
        for bucket in order:
            yield from repeat(bucket, run)


def partition_range(partition: int, partitions: int) -> range:
    """Return the contiguous buckets of one partition when the 256 buckets are cut into `partitions`."""
    return range(first_bucket(partition, partitions), first_bucket(partition + 1, partitions))


def first_bucket(partition: int, partitions: int) -> int:
    """Return where a partition begins; partition number `partitions` begins at 256, behind the last bucket."""
    return partition * BUCKETS // partitions


def partition_of(bucket: int, partitions: int) -> int:
    """Return the partition that a bucket belongs to: the inverse of `partition_range`."""
    return ((bucket + 1) * partitions - 1) // BUCKETS
