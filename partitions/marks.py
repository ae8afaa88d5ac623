"""Where the owner of a bucket goes on reading.

As long as a transaction anywhere keeps an old snapshot, index entries of rows that are folded, sealed and sent cannot
be removed, and a read from the start of the bucket walks over all of them. Only the owner moves rows on, so it knows
what it has passed. Marks are for speed alone: what commits late, comes again or is older lies below them, so whoever
holds some drops them about once a second, and no decision that needs all rows may rest on a read from a mark.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

Place = tuple[datetime, int]
"""(time, id) of a row."""

ANCIENT = datetime(1, 1, 1, tzinfo=UTC)
START: Place = (ANCIENT, 0)
"""Before every row."""


@dataclass(slots=True)
class Turns:
    """The tenants that were the last ones to be served beside the front of a queue."""

    sealed: str = ""
    safe: str = ""
    unsafe: str = ""
    grouped: str = ""
    taken: int = 0
    """How many deliveries went beside the front of the last claim for channels that must not send twice."""


@dataclass(slots=True)
class Marks:
    """The places in one bucket behind which there may be something to do."""

    folded: Place = START
    """(occurred_at, id) of the last event that was folded."""
    sealed: Place = START
    """(deliver_at, id) of the last batch that was sealed or postponed."""
    safe: int = 0
    """The last delivery claimed for channels that may send twice, and for the others."""
    unsafe: int = 0
    grouped: int = 0
    """The same for channels that may not, and that send many by one call."""
    turns: Turns = field(default_factory=Turns)
    left: set[str] = field(default_factory=set)
    """Recipients who are neither folded nor sealed: a caller's open transaction holds rows of theirs."""

    @property
    def any_unsafe(self) -> int:
        """Behind which there may be deliveries for either kind of channels that may not send twice."""
        return min(self.unsafe or self.grouped, self.grouped or self.unsafe)
