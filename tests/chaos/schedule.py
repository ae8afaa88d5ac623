"""What is done when: a list made from a seed, so that a run can be repeated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.evidence import Kind

ALONE: Mapping[Kind, float] = {
    Kind.WORKER_KILL: 0.5,
    Kind.KEEPER_KILL: 0.8,
    Kind.EXPORTER_KILL: 1.0,
    Kind.PARENT_KILL: 4.0,
    Kind.GROUP_KILL: 4.0,
    Kind.WORKER_STOP: 1.5,
    Kind.PAIR_STOP: 2.5,
    Kind.GROUP_STOP: 5.0,
    Kind.HANG_UP: 5.0,
    Kind.TERM: 4.0,
    Kind.BACKENDS: 0.4,
    Kind.DATABASE: 4.0,
    Kind.RESET: 0.8,
    Kind.SHORT_STALL: 1.5,
    Kind.LONG_STALL: 5.0,
    Kind.LOST_COMMIT: 0.5,
    Kind.LOST_CLAIM: 0.5,
    Kind.SNAPSHOT: 12.0,
}
"""Seconds between two faults of a kind that has a schedule to itself."""

MIXED: Mapping[Kind, float] = {
    Kind.WORKER_KILL: 4.0,
    Kind.KEEPER_KILL: 9.0,
    Kind.EXPORTER_KILL: 15.0,
    Kind.PARENT_KILL: 30.0,
    Kind.GROUP_KILL: 30.0,
    Kind.WORKER_STOP: 12.0,
    Kind.PAIR_STOP: 15.0,
    Kind.GROUP_STOP: 30.0,
    Kind.HANG_UP: 30.0,
    Kind.TERM: 30.0,
    Kind.BACKENDS: 5.0,
    Kind.DATABASE: 35.0,
    Kind.RESET: 6.0,
    Kind.SHORT_STALL: 10.0,
    Kind.LONG_STALL: 30.0,
    Kind.LOST_COMMIT: 4.0,
    Kind.LOST_CLAIM: 4.0,
    Kind.SNAPSHOT: 40.0,
}
"""The same, among the others."""

STOPPING = (Kind.WORKER_STOP, Kind.PAIR_STOP, Kind.GROUP_STOP, Kind.LONG_STALL)
SNAPSHOT_SECONDS = 20.0
DEFAULTS_NAME = "defaults"
DEFAULT_DEAD_AFTER = 10.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come, `at` seconds after the schedule's start; `pick` (0 to 1) chooses among what is there then."""

    at: float
    kind: Kind
    member: int
    pick: float
    lasting: float

    def __str__(self) -> str:
        lasting = f" for {self.lasting:.1f} s" if self.lasting else ""
        return f"{self.at:6.2f} s  {self.kind} on {'AB'[self.member]}{lasting}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Faults of some kinds during `seconds`, against supervisors with these options."""

    name: str
    seconds: float
    faults: Sequence[Planned]
    beat: float = 0.5
    dead_after: float = 2.5


def schedule(name: str, seed: int, seconds: float, every: Mapping[Kind, float], dead_after: float = 2.5) -> Schedule:
    """Return a schedule of these kinds, each at about its own interval, at least once, and on both supervisors."""
    planned = [
        fault
        for kind, interval in every.items()
        for fault in _stream(Random(f"{seed} {name} {kind}"), kind, interval, seconds, dead_after)
    ]
    beat = dead_after / 5
    return Schedule(name, seconds, sorted(planned, key=lambda fault: fault.at), beat, dead_after)


def _stream(rand: Random, kind: Kind, interval: float, seconds: float, dead_after: float) -> Iterator[Planned]:
    at = rand.uniform(0.0, min(interval, seconds * 0.8))
    member = rand.randrange(2)
    while at < seconds:
        lasting = _lasting(rand, kind, dead_after)
        if kind is Kind.SNAPSHOT:
            lasting = min(lasting, seconds - at)  # nobody is to wait for its end alone
        yield Planned(at, kind, member, rand.random(), lasting)
        at += interval * rand.uniform(0.7, 1.3)
        member = 1 - member if rand.random() < 0.7 else member


def _lasting(rand: Random, kind: Kind, dead_after: float) -> float:
    if kind in STOPPING:
        return dead_after + rand.uniform(2.0, 3.5)  # a burial takes two looks, a beat and a sweep apart
    if kind is Kind.SHORT_STALL:
        return rand.uniform(0.2, 0.45) * dead_after
    return SNAPSHOT_SECONDS if kind is Kind.SNAPSHOT else 0.0


def all_schedules(seed: int, minutes: float) -> list[Schedule]:
    """Return what `make chaos` plays: each kind alone, then mixed, then whole supervisors lost with default options."""
    scale = minutes / 12
    alone = [schedule(kind, seed, _alone_seconds(kind) * scale, {kind: ALONE[kind]}) for kind in Kind]
    mixed = [schedule(f"mixed-{number}", seed, 80 * scale, MIXED) for number in (1, 2, 3)]
    return [*alone, *mixed, defaults(seed)]


def _alone_seconds(kind: Kind) -> float:
    if kind is Kind.PAIR_STOP:
        return 50.0  # the one that makes a zombie each time: a parent that wakes up too kills its own at once
    return 20.0 if ALONE[kind] >= 4 or kind in STOPPING else 13.0


def defaults(seed: int) -> Schedule:
    """Return the loss of whole supervisors under the default options: nobody else knows but by their silence."""
    rand = Random(f"{seed} {DEFAULTS_NAME}")
    planned = [
        Planned(at, Kind.GROUP_KILL, number % 2, rand.random(), 0.0) for number, at in enumerate((2.0, 22.0, 42.0))
    ]
    return Schedule(DEFAULTS_NAME, 60.0, planned, 2.0, DEFAULT_DEAD_AFTER)
