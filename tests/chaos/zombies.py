"""Those that were stopped, or cut off, until others had declared them dead, and then went on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.cluster import Life
from tests.chaos.evidence import Evidence, Fault, Process
from tests.chaos.logs import Line, at

TOLD = "declared dead by others: ending"
REFUSED = "stale results dropped"


@dataclass(frozen=True, slots=True)
class Zombie:
    """A worker that went on after its burial."""

    process: Process
    stopped: bool
    """By SIGSTOP; the others' connections were stalled."""
    held: bool
    """It held claims when it was stopped."""
    told: bool
    """Its next heartbeat was refused, and it ended itself."""
    refused: bool
    """Results that it still wanted to write were refused, too."""


def zombies(evidence: Evidence, lives: Iterable[Life], wall_ahead: float) -> list[Zombie]:
    """Return the workers that were continued after their burial, and those that were told of it all the same."""
    lines = [line for life in lives for line in life.log.lines()]
    told = {line.get("instance") for line in lines if line["event"] == TOLD}
    workers = [process for process in evidence.processes if process.kind == "worker" and process.state == "DEAD"]
    stopped = {
        process.id: _stopped(process, fault, str(process.id) in told, lines, wall_ahead)
        for fault in evidence.faults
        for process in workers
        if process.pid in fault.resumed and fault.since < (process.ended or 0) < fault.until
    }
    cut_off = [process for process in workers if str(process.id) in told and process.id not in stopped]
    return [*stopped.values(), *(Zombie(process, False, False, True, False) for process in cut_off)]


def _stopped(process: Process, fault: Fault, told: bool, lines: Sequence[Line], wall_ahead: float) -> Zombie:
    ended = [line for line in lines if line["event"] == "child ended" and line.get("pid") == str(process.pid)]
    slots = {line["child"] for line in ended}
    until = max((at(line, wall_ahead) for line in ended), default=fault.until)
    refused = any(
        line["event"] == REFUSED and line["slot"] in slots and fault.until <= at(line, wall_ahead) <= until
        for line in lines
    )
    return Zombie(process, True, process.id in fault.holding, told, refused)
