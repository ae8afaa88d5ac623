"""Numbers in lists of a thousand: what the peers' bulk calls are given at once."""

from collections.abc import Iterator

SIZE = 1000


def chunks(numbers: range) -> Iterator[range]:
    """Yield the numbers in order."""
    for first in range(numbers.start, numbers.stop, SIZE):
        yield range(first, min(first + SIZE, numbers.stop))
