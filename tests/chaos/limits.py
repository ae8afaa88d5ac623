"""How long things may take: reclaims, buckets without an owner, and orphans."""

from collections.abc import Iterator, Sequence

from tests.chaos.cluster import Life
from tests.chaos.evidence import Fault, Kind, Violation
from tests.chaos.schedule import DEFAULTS_NAME, Schedule
from tests.chaos.watch import Gap, Reclaim

ROLLING_GAP_SECONDS = 2.0
ORPHAN_SLACK_SECONDS = 1.0
WORKER_RECLAIM_SECONDS = 1.0
SUPERVISOR_RECLAIM_SECONDS = 15.0
AFTERMATH_SECONDS = 3.0
HINDERING = frozenset(Kind) - {
    Kind.WORKER_KILL,
    Kind.EXPORTER_KILL,
    Kind.WORKER_STOP,
    Kind.SNAPSHOT,
    Kind.LOST_COMMIT,
    Kind.LOST_CLAIM,
}
"""What takes away the parent that sees a death, the keeper that reclaims, or the way to the database."""


def violations(
    schedule: Schedule, reclaims: Sequence[Reclaim], gaps: Sequence[Gap], orphans: Sequence[Life], now: float
) -> Iterator[Violation]:
    """Yield what took too long where nothing else stood in its way."""
    kinds = {fault.kind for fault in schedule.faults}
    if kinds == {Kind.HANG_UP}:
        yield from (Violation("unowned", str(gap)) for gap in gaps if gap.seconds > ROLLING_GAP_SECONDS)
    if kinds == {Kind.PARENT_KILL}:
        for life in orphans:
            if (lasted := orphaned_for(life, now)) > schedule.dead_after + ORPHAN_SLACK_SECONDS:
                yield Violation("orphans", f"children of pid {life.supervised.pid} outlived it by {lasted:.1f} s")
    if schedule.name == DEFAULTS_NAME:
        yield from _slow(reclaims, SUPERVISOR_RECLAIM_SECONDS)
    elif kinds == {Kind.WORKER_KILL}:
        yield from _slow(reclaims, WORKER_RECLAIM_SECONDS)
    yield from (Violation("never reclaimed", str(reclaim)) for reclaim in reclaims if reclaim.seconds is None)


def _slow(reclaims: Sequence[Reclaim], limit: float) -> Iterator[Violation]:
    took = [reclaim.seconds for reclaim in reclaims if reclaim.seconds is not None]
    if percentile(took, 0.99) > limit:
        yield Violation("slow reclaim", f"the p99 of {len(took)} reclaims is {percentile(took, 0.99):.2f} s")


def orphaned_for(life: Life, now: float) -> float:
    """Return how long children outlived their parent."""
    return (life.orphans_gone or now) - (life.orphaned or now)


def unhindered(reclaims: Sequence[Reclaim], faults: Sequence[Fault]) -> list[Reclaim]:
    """Leave out the reclaims that waited for something else which was broken at the time."""
    return [
        reclaim
        for reclaim in reclaims
        if not any(
            fault.kind in HINDERING
            and fault.member in ("", reclaim.member)
            and fault.since <= reclaim.since + (reclaim.seconds or 0.0)
            and fault.until + AFTERMATH_SECONDS >= reclaim.since
            for fault in faults
        )
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of them does not exceed; 0 where there is none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
