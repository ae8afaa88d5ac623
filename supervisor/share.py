"""Which worker should own which bucket: a goal that everyone computes alike, while the leases say who owns it now.

Supervisors share the 256 buckets in contiguous runs, floor or ceiling by their workers, cut where a partition of every
one of them begins, so that supervisors of 8 and of 16 partitions fit side by side without a gap. Within its run a
supervisor's partition p belongs to slot p modulo its workers; slots that are away are stood in for by the least loaded
one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from uuid import UUID

from pgsupervise.partitions.buckets import BUCKETS, first_bucket, partition_of, partition_range
from pgsupervise.partitions.rows import LiveWorker


def targets(workers: Sequence[LiveWorker]) -> Mapping[int, UUID]:
    """Return the worker of each bucket; empty when nobody can take any. `workers` come in the order of their age."""
    return _targets(tuple(workers))


@lru_cache(maxsize=1)  # asked at every beat, and the workers are mostly the same
def _targets(workers: tuple[LiveWorker, ...]) -> Mapping[int, UUID]:
    supervisors = _by_supervisor(workers)
    goal: dict[int, UUID] = {}
    for team, buckets in zip(supervisors, _runs([team[0] for team in supervisors]), strict=True):
        goal.update(_within(team, buckets))
    return goal


def _by_supervisor(workers: Sequence[LiveWorker]) -> list[list[LiveWorker]]:
    teams: dict[UUID, dict[int, LiveWorker]] = defaultdict(dict)
    for worker in workers:
        if not worker.draining:
            teams[worker.supervisor].setdefault(worker.slot, worker)
    return [list(team.values()) for team in teams.values()]


def _runs(supervisors: Sequence[LiveWorker]) -> list[range]:
    if not supervisors:
        return []
    cuts = set(range(BUCKETS))
    for count in {supervisor.partitions for supervisor in supervisors}:
        cuts &= {first_bucket(partition, count) for partition in range(count)}
    lines = [*sorted(cuts), BUCKETS]
    # By how many can be at work, not by how many live now: a worker that is being replaced moves no line.
    weights = [min(supervisor.processes, supervisor.partitions) for supervisor in supervisors]
    segments, total = len(lines) - 1, sum(weights)
    # Rounded up, so that where there is not enough for all the oldest go on and the newest stand by.
    bounds = [lines[-(-segments * weight // total)] for weight in accumulate(weights, initial=0)]
    return [range(low, high) for low, high in pairwise(bounds)]


def _within(team: Sequence[LiveWorker], buckets: range) -> dict[int, UUID]:
    if not buckets:
        return {}
    count = team[0].partitions
    by_slot = {worker.slot: worker for worker in team}
    partitions = range(partition_of(buckets[0], count), partition_of(buckets[-1], count) + 1)
    load: dict[int, int] = dict.fromkeys(by_slot, 0)
    chosen: dict[int, LiveWorker] = {}
    for partition in partitions:
        worker = by_slot.get(partition % team[0].processes)
        if worker is not None:
            chosen[partition] = worker
            load[worker.slot] += 1
    for partition in partitions:
        if partition not in chosen:
            slot = min(load, key=lambda slot: (load[slot], slot))
            chosen[partition] = by_slot[slot]
            load[slot] += 1
    return {bucket: worker.id for partition, worker in chosen.items() for bucket in partition_range(partition, count)}
