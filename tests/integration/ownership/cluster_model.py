"""The model of processes and leases."""

from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from pgsupervise.partitions.buckets import BUCKETS, partition_of, partition_range
from pgsupervise.partitions.leases import KEEPER_SEAT
from pgsupervise.partitions.states import WorkerState
from pgsupervise.partitions.tasks import Watermark

LIVE = (WorkerState.ACTIVE, WorkerState.DRAINING)
ALL_LEASES = range(KEEPER_SEAT, BUCKETS)


@dataclass(eq=False, repr=False)
class Process:
    """A process as its row shows it, and what it remembers: one that was buried goes on by its memory."""

    number: int
    id: UUID
    supervisor: UUID
    partitions: int
    state: WorkerState = WorkerState.ACTIVE
    draining: bool = False
    silent: bool = False
    moves: int = 0
    """How often its last beat became another one."""
    running: int | None = None
    reason: str = ""
    pruned: bool = False
    epochs: dict[int, int] = field(default_factory=dict)
    """The last epoch that it got for a bucket; it never unlearns one."""
    in_hand: set[int] = field(default_factory=set)
    """The tasks or deliveries that it takes to be claimed by it."""
    watermarks: dict[int, Watermark] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"process{self.number}"

    @property
    def live(self) -> bool:
        """Whether its row says that it lives."""
        return self.state in LIVE and not self.pruned

    def partition_at(self, bucket: int) -> range:
        """Return the buckets of its partition that has this bucket, by its own count of partitions."""
        return partition_range(partition_of(bucket, self.partitions), self.partitions)


class Cluster:
    """Who lives and who owns what."""

    def __init__(self, epochs: dict[int, int]) -> None:
        self.processes: list[Process] = []
        self.epoch = epochs
        self.owner: dict[int, Process | None] = dict.fromkeys(epochs)

    def acting(self, zombies: int) -> list[Process]:
        """Return those whose turn it may be: the live, and the last ones that have ended and do not know."""
        live = [process for process in self.processes if process.live]
        return live + [process for process in self.processes if not process.live][-zombies:]

    def rows(self) -> set[tuple[UUID, str, int | None, str]]:
        """Return the rows of the processes."""
        return {(p.id, p.state.value, p.running, p.reason) for p in self.processes if not p.pruned}

    def leases(self) -> dict[int, tuple[UUID | None, int]]:
        """Return owner and epoch of each lease."""
        return {bucket: (owner.id if owner else None, self.epoch[bucket]) for bucket, owner in self.owner.items()}

    def holds(self, process: Process, bucket: int, epoch: int) -> bool:
        """Return whether a fence lets the process pass."""
        return self.owner[bucket] is process and self.epoch[bucket] == epoch

    def sharing(self) -> list[tuple[UUID, bool]]:
        """Return who may share the buckets, the oldest supervisor first and in it the youngest process first."""
        age = {p.supervisor: p.number for p in reversed(self.processes) if p.live and not p.silent}
        found = [p for p in self.processes if p.live and not p.silent]
        found.sort(key=lambda p: (age[p.supervisor], -p.number))
        return [(p.id, p.state is WorkerState.DRAINING) for p in found]

    def beat(self, process: Process, running: int | None) -> bool:
        """Show a sign of life, which the buried cannot."""
        if process.live:
            process.state = WorkerState.DRAINING if process.draining else WorkerState.ACTIVE
            process.silent, process.running = False, running
            process.moves += 1
        return process.live

    def bury(self, process: Process, reason: str, running: int | None) -> bool:
        """End a process that others saw end."""
        buried = process.live
        if buried:
            process.state, process.reason, process.running = WorkerState.DEAD, reason, running
        return buried

    def silent(self) -> dict[Process, int]:
        """Return who is silent, and since which beat."""
        return {process: process.moves for process in self.processes if process.live and process.silent}

    def bury_silent(self, seen: dict[Process, int]) -> set[UUID]:
        """End those that have been silent ever since; what they ran is what their last beat said."""
        still = [p for p, moves in seen.items() if p.silent and p.moves == moves]
        return {p.id for p in still if self.bury(p, "silence", p.running)}

    def stop(self, process: Process) -> None:
        """End a process by its own word."""
        if process.live:
            process.state, process.reason, process.running = WorkerState.STOPPED, "drained", None

    def prune(self, claimers: Collection[Process]) -> int:
        """Forget the ended that have no claims."""
        gone = [p for p in self.processes if not p.live and not p.pruned and p not in claimers]
        for process in gone:
            process.pruned = True
        return len(gone)

    def acquire(self, process: Process, buckets: Collection[int]) -> dict[int, int]:
        """Take all or none, if the process may take any."""
        if process.state is not WorkerState.ACTIVE or process.pruned or any(self.owner[b] for b in buckets):
            return {}
        for bucket in buckets:
            self.owner[bucket] = process
            self.epoch[bucket] += 1
        taken = {bucket: self.epoch[bucket] for bucket in buckets}
        process.epochs.update(taken)
        return taken

    def release(self, process: Process, buckets: Collection[int]) -> set[int]:
        """Give up those that are the process's own."""
        own = {bucket for bucket in buckets if self.owner[bucket] is process}
        self.owner.update(dict.fromkeys(own))
        return own

    def free(self) -> set[int]:
        """Take from the ended what they own."""
        freed = {bucket for bucket, owner in self.owner.items() if owner and not owner.live}
        self.owner.update(dict.fromkeys(freed))
        return freed
