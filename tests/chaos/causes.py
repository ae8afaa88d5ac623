"""Which fault a second run, a burial or a second mail is due to."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.evidence import Evidence, Fault, Kind, Process
from tests.chaos.ledger import Run

CUTTING = (
    # What ends or stops the very process explains more than what befell its connections.
    Kind.WORKER_KILL,
    Kind.GROUP_KILL,
    Kind.GROUP_STOP,
    Kind.PAIR_STOP,
    Kind.WORKER_STOP,
    Kind.LONG_STALL,
    Kind.DATABASE,
    Kind.PARENT_KILL,
    Kind.RESET,
    Kind.BACKENDS,
    Kind.LOST_COMMIT,
    Kind.LOST_CLAIM,
)
"""What may make a task run twice, the most likely cause first. A drain, a rolling restart, a short stall, an old
snapshot, and the death of a keeper or an exporter must not."""


@dataclass(frozen=True, slots=True)
class DoubleRun:
    """Two runs of one task, one after the other, and what cut the first one off."""

    first: Run
    second: Run
    cause: Kind | None


class Processes:
    """Finds the process of a ledger entry: a pid may be used again."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._by_pid: dict[int, list[Process]] = defaultdict(list)
        for process in sorted(processes, key=lambda process: process.started):
            self._by_pid[process.pid].append(process)

    def of(self, run: Run) -> Process | None:
        """Return the worker that made a run."""
        known = self._by_pid.get(run.pid, [])
        place = bisect_right(known, run.began, key=lambda process: process.started)
        return known[place - 1] if place else None


def runs_by_number(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """Return each number's runs, in the order of their beginning."""
    found: dict[int, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.began):
        found[run.number].append(run)
    return found


def double_runs(evidence: Evidence) -> list[DoubleRun]:
    """Return every second run with its cause."""
    processes = Processes(evidence.processes)
    return [
        DoubleRun(first, second, _cut_by(evidence, processes.of(first), first, second))
        for runs in runs_by_number(evidence.runs).values()
        for first, second in pairwise(runs)
    ]


def _cut_by(evidence: Evidence, process: Process | None, first: Run, second: Run) -> Kind | None:
    since = first.began - evidence.dead_after
    member = process.member if process else ""
    return cause(evidence.faults, member, first.pid, since=since, until=second.began)


def cause(faults: Sequence[Fault], member: str, pid: int, *, since: float, until: float) -> Kind | None:
    """Return the likeliest fault that befell a process between two moments; without a pid, any of the member."""
    found = {
        fault.kind
        for fault in faults
        if fault.since <= until and fault.until >= since and _befalls(fault, member, pid) and fault.kind in CUTTING
    }
    return min(found, key=CUTTING.index, default=None)


def _befalls(fault: Fault, member: str, pid: int) -> bool:
    if fault.pids and pid:
        return pid in fault.pids
    return not fault.member or not member or fault.member == member
