"""Frequency caps: how often a recipient gets a policy's digest at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=366)
MOST = 1000


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` digests of a policy for one recipient in any period of the length `per`."""

    count: int
    per: timedelta

    def problems(self) -> list[str]:
        """Return what is wrong with the cap, each with its cure; an empty list when nothing is."""
        found = []
        count: object = self.count
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
            found.append(f"cap has the count {count!r}: it must be an int from 1 to {MOST}")
        per: object = self.per
        if not isinstance(per, timedelta) or not timedelta(0) < per <= LONGEST:
            found.append(
                f"cap is per {per!r}: it must be a timedelta of more than zero and at most {LONGEST.days} days"
            )
        return found

    def allowed_at(self, at: datetime, past: Sequence[datetime]) -> datetime:
        """Return when a digest may go that would at `at`, after those of `past`: oldest first, some may be to come.

        It overtakes none of them.
        """
        if past:
            at = max(at, past[-1])
        if len(past) >= self.count:
            at = max(at, past[-self.count] + self.per)
        return at
