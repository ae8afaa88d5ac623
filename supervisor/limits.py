"""How much a channel may be asked for: messages a second and calls at once, in the whole cluster."""

from dataclasses import dataclass

from pgsupervise.partitions.buckets import BUCKETS

FASTEST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `per_second` messages begun a second, and `in_flight` calls under way, by all workers together.

    `per_second` may be a fraction. None is no limit.
    """

    per_second: float | None = None
    in_flight: int | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the limit, each with its cure; an empty list when nothing is."""
        found = []
        rate: object = self.per_second
        if rate is not None and not _is_rate(rate):
            found.append(f"per_second is {rate!r}: it must be a number of more than 0 and at most {FASTEST:,}, or None")
        calls: object = self.in_flight
        if calls is not None and not (isinstance(calls, int) and not isinstance(calls, bool) and calls >= 1):
            found.append(f"in_flight is {calls!r}: it must be an int of at least 1, or None")
        return found


UNLIMITED = Limit()


def seats(in_flight: int) -> list[int]:
    """Return the bucket that each of so many calls belongs to: evenly spread, so that no part is rounded away.

    Who owns the bucket may make the call; a bucket may have several.
    """
    return [(2 * number + 1) * BUCKETS // (2 * in_flight) for number in range(in_flight)]


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= FASTEST
