"""The rules about processes and leases. The machines about tasks and about deliveries add theirs."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pgsupervise.partitions import leases, workers
from pgsupervise.partitions.buckets import bucket_of
from tests.integration.ownership.cluster_model import ALL_LEASES, Cluster, Process
from tests.integration.world import age_beat, one, worker

T = TypeVar("T")
RECIPIENTS = ("ann", "bob", "eve")
BUCKETS = tuple(bucket_of(recipient) for recipient in RECIPIENTS)
buckets = st.sampled_from(BUCKETS)
partition_counts = st.sampled_from([1, 2, 3, 4, 8, 16, 256])
MOST_LIVE = 4
ZOMBIES = 3
"""How many of the ended go on: more would have all the turns."""

EMPTY = """
DELETE FROM pgsupervise_task; DELETE FROM pgsupervise_finishedtask; DELETE FROM pgsupervise_worker;
DELETE FROM pgsupervise_event; DELETE FROM pgsupervise_batch; DELETE FROM pgsupervise_delivery;
DELETE FROM pgsupervise_providerevent;
UPDATE pgsupervise_lease SET owner_id = NULL WHERE owner_id IS NOT NULL;
"""


class Fence(Enum):
    """With which identity and epoch a bucket is written to."""

    RIGHT = "the owner, its epoch"
    MEMORY = "the caller, the last epoch it got"
    STOLEN = "the caller, the owner's epoch"
    STALE = "the owner, an earlier epoch of its own or of another"


# The right one twice: else too little happens that a wrong one could disturb.
fences = st.sampled_from([Fence.RIGHT, *Fence])


class Fate(Enum):
    """What happens to a process between two of its writes."""

    KILLED_IDLE = "the parent saw it end, running nothing"
    KILLED_IN_A_TASK = "the parent saw it end in a task"
    SILENT_IN_A_TASK = "it does not beat and is buried"
    DRAINED = "it gives everything back and takes its leave"
    STOPPED_AS_IT_WAS = "it takes its leave and keeps what it has"
    DRAINING = "it is told to drain"
    HANDS_OVER = "it gives its buckets back and lives on"
    TAKES_BACK = "it gives its buckets back and gets them again"


fates = st.sampled_from(Fate)


class Sweep(Enum):
    """What the keeper does meanwhile."""

    NONE = "nothing"
    FREES = "it frees leases and reclaims claims"
    PRUNES = "it reclaims claims and prunes the ended, and has not come to their leases"


sweeps = st.sampled_from(Sweep)


def among(candidates: Callable[[Any], Sequence[T]]) -> st.SearchStrategy[T]:
    """Choose among what the machine has at that moment; never empty where the rule's precondition sees to it."""
    return st.runner().flatmap(lambda machine: st.sampled_from(candidates(machine)))


processes = among(lambda machine: machine.cluster.acting(ZOMBIES))


class LeaseMachine(RuleBasedStateMachine):
    """Processes boot, beat, fall silent, are buried and go on as zombies; leases change hands."""

    def __init__(self, connections: Sequence[psycopg.Connection]) -> None:
        super().__init__()
        self.connections = connections
        self.keeper = connections[0]
        self.keeper.execute(EMPTY)
        epochs: dict[int, int] = dict(self.keeper.execute("SELECT bucket, epoch FROM pgsupervise_lease").fetchall())
        assert set(epochs) == set(ALL_LEASES)
        self.cluster = Cluster(epochs)
        self.supervisors = [uuid4(), uuid4(), uuid4()]
        self.last_seen: dict[int, tuple[UUID | None, int]] = {bucket: (None, epochs[bucket]) for bucket in epochs}
        self.look: tuple[dict[UUID, datetime], dict[Process, int]] = {}, {}
        """Who was silent when a keeper looked for the last time: by the tables, and by the model."""
        self.owner_at: dict[tuple[int, int], UUID] = {}

    def of(self, process: Process) -> psycopg.Connection:
        """Return the process's connection; the first one is the keeper's."""
        return self.connections[1 + process.number % (len(self.connections) - 1)]

    def claimers(self) -> Collection[Process]:
        """Return who has claims, as the model knows them."""
        return ()

    def fenced(self, bucket: int, caller: Process, fence: Fence) -> tuple[Process, int]:
        """Return who writes to a bucket under which epoch; a bucket without an owner gets one if it can."""
        if fence is Fence.RIGHT and not self.cluster.owner[bucket]:
            self.acquire(caller, caller.partition_at(bucket))
        epoch, owner = self.cluster.epoch[bucket], self.cluster.owner[bucket] or caller
        match fence:
            case Fence.RIGHT:
                return owner, epoch
            case Fence.MEMORY:
                return caller, caller.epochs.get(bucket, epoch)
            case Fence.STOLEN:
                return caller, epoch
            case Fence.STALE:
                return owner, epoch - 1

    def boot(self, supervisor: int, partitions: int) -> Process:
        """Register a process."""
        number, team = len(self.cluster.processes), self.supervisors[supervisor]
        connection = self.connections[1 + number % (len(self.connections) - 1)]
        identity = worker(connection, supervisor=team, partitions=partitions, processes=partitions)
        process = Process(number, identity, team, partitions)
        self.cluster.processes.append(process)
        return process

    def acquire(self, process: Process, wanted: Collection[int]) -> None:
        """Let a process take leases."""
        taken = leases.acquire_leases(self.of(process), process.id, wanted)
        assert taken == self.cluster.acquire(process, wanted)
        if taken:
            state = one(self.keeper, "SELECT state FROM pgsupervise_worker WHERE id = %s", process.id)
            assert state == "ACTIVE", "a lease came to one that is buried or leaves"

    def bury(self, process: Process, reason: str, running: int | None) -> None:
        """Declare a process dead whose end was seen."""
        buried = workers.bury_worker(self.keeper, process.id, reason, running)
        assert buried == self.cluster.bury(process, reason, running)

    def free(self) -> None:
        """Free what the ended own."""
        freed = leases.free_leases_of_the_dead(self.keeper)
        assert len(freed) == len(set(freed))
        assert set(freed) == self.cluster.free()

    @precondition(lambda self: sum(process.live for process in self.cluster.processes) < MOST_LIVE)
    @rule(supervisor=st.integers(0, 2), partitions=partition_counts, at=buckets)
    def boots_and_acquires(self, supervisor: int, partitions: int, at: int) -> None:
        process = self.boot(supervisor, partitions)
        self.acquire(process, process.partition_at(at))

    @rule(process=processes, drains=st.booleans(), runs=st.booleans())
    def beats(self, process: Process, drains: bool, runs: bool) -> None:
        process.draining = process.draining or drains
        running = min(process.in_hand, default=None) if runs else None
        alive = workers.beat(self.of(process), process.id, draining=process.draining, running_task=running)
        assert alive == self.cluster.beat(process, running)

    @rule(process=processes, noticed=st.booleans())
    def falls_silent(self, process: Process, noticed: bool) -> None:
        age_beat(self.keeper, process.id)
        process.silent = True
        process.moves += 1
        if noticed:
            self.bury_silent()

    def bury_silent(self) -> None:
        """Bury those who have been silent since the former look, and look again."""
        seen, moves = self.look
        buried = workers.bury_silent_workers(self.keeper, seen)
        assert len(buried) == len(set(buried))
        assert set(buried) == self.cluster.bury_silent(moves)
        self.look = workers.silent_workers(self.keeper), self.cluster.silent()
        assert set(self.look[0]) == {process.id for process in self.look[1]}

    @rule(process=processes, fate=fates)
    def suffers(self, process: Process, fate: Fate) -> None:
        match fate:
            case Fate.KILLED_IDLE | Fate.KILLED_IN_A_TASK:
                running = min(process.in_hand, default=None) if fate is Fate.KILLED_IN_A_TASK else None
                self.bury(process, "signal:SIGKILL", running)
            case Fate.SILENT_IN_A_TASK:
                self.beats(process, drains=False, runs=True)
                self.falls_silent(process, noticed=True)
                self.bury_silent()
            case Fate.DRAINED:
                self.release(process, self.owned_by(process))
                self.stop(process)
            case Fate.STOPPED_AS_IT_WAS:
                self.stop(process)
            case Fate.DRAINING:
                self.beats(process, drains=True, runs=True)
            case Fate.HANDS_OVER | Fate.TAKES_BACK:
                owned = self.owned_by(process)
                self.release(process, owned)
                self.acquire(process, owned if fate is Fate.TAKES_BACK else [])

    def stop(self, process: Process) -> None:
        """Let a process take its leave."""
        workers.stop_worker(self.of(process), process.id, "drained")
        self.cluster.stop(process)

    @rule(process=processes, drains=st.booleans(), prunes=st.sampled_from([False, False, True]))
    def keeper_sweeps(self, process: Process, drains: bool, prunes: bool) -> None:
        if drains:
            self.beats(process, drains=True, runs=False)
        if prunes:
            self.prune()
        self.free()

    def prune(self) -> None:
        """Delete the rows of the ended, but not before they are `keep` old, and of none that has claims."""
        assert workers.prune_workers(self.keeper, timedelta(hours=1)) == 0
        assert workers.prune_workers(self.keeper, timedelta(0)) == self.cluster.prune(self.claimers())

    @rule(process=processes, at=buckets, how=st.sampled_from(["acquires", "releases", "takes over", "seat", "no seat"]))
    def leases_change(self, process: Process, at: int, how: str) -> None:
        match how:
            case "acquires":
                self.acquire(process, process.partition_at(at))
            case "releases":
                self.release(process, process.partition_at(at))
            case "takes over":
                owner = self.cluster.owner[at]
                if owner:
                    self.release(owner, self.owned_by(owner))
                self.acquire(process, process.partition_at(at))
            case "seat":
                self.acquire(process, [leases.KEEPER_SEAT])
            case "no seat":
                self.release(process, [leases.KEEPER_SEAT])

    def heir_of(self, bucket: int) -> tuple[Process, int]:
        """Boot a process that takes a bucket if it can; return it with the epoch that it takes for its own."""
        heir = self.boot(0, 256)
        self.acquire(heir, [bucket])
        return heir, heir.epochs.get(bucket, self.cluster.epoch[bucket])

    def owned_by(self, process: Process) -> list[int]:
        """Return the leases of a process."""
        return [bucket for bucket, owner in self.cluster.owner.items() if owner is process]

    def release(self, process: Process, given: Collection[int]) -> None:
        """Let a process give leases back, those that it never had included."""
        assert leases.release_leases(self.of(process), process.id, given) == self.cluster.release(process, given)

    @rule(caller=processes, bucket=buckets, fence=fences)
    def passes_the_fence_or_not(self, caller: Process, bucket: int, fence: Fence) -> None:
        process, epoch = self.fenced(bucket, caller, fence)
        passed = leases.hold_lease(self.of(process), bucket, process.id, epoch)
        assert passed == self.cluster.holds(process, bucket, epoch)

    def check(self) -> None:
        """Compare the tables with the model, outside of a random history."""
        self.processes_are_as_predicted()
        self.leases_are_as_predicted_and_no_epoch_serves_two()

    @invariant()
    def processes_are_as_predicted(self) -> None:
        rows = self.read("SELECT id, state, running_task, end_reason FROM pgsupervise_worker")
        assert set(rows) == self.cluster.rows()
        live = workers.live_workers(self.keeper)
        assert [(one.id, one.draining) for one in live] == self.cluster.sharing()

    @invariant()
    def leases_are_as_predicted_and_no_epoch_serves_two(self) -> None:
        rows = self.read("SELECT bucket, owner_id, epoch FROM pgsupervise_lease")
        now = {bucket: (owner, epoch) for bucket, owner, epoch in rows}
        assert now == self.cluster.leases()
        for bucket, (owner, epoch) in now.items():
            former_owner, former_epoch = self.last_seen[bucket]
            assert epoch >= former_epoch, "an epoch fell"
            if owner:
                assert owner == former_owner or epoch > former_epoch, "a new owner under the former one's epoch"
                assert self.owner_at.setdefault((bucket, epoch), owner) == owner, "two owners under one epoch"
        self.last_seen = now

    def read(self, statement: str, *parameters: Any) -> list[Any]:
        """Return the rows of a table."""
        return self.keeper.execute(statement.encode(), parameters).fetchall()
