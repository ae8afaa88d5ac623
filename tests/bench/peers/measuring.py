"""One round of one peer, the same for all: enqueue with the workers stopped, drain, then trickle to idle workers.

drain           from the first body to the last one, all tasks of the two enqueue figures; each must run exactly once
bulk enqueue    the peer's best way to enqueue many, in one process, from before the first call to after the last one
single enqueue  one call and one commit a task, one after the other, in one process
pick-up         from just before the call that enqueues to the beginning of the body, at 100 a second, workers idle
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from tests.bench.figures import Sample
from tests.bench.peers.ledger import Ledger, MiscountError, drained_per_second, percentile, verify
from tests.bench.peers.peer import Peer
from tests.bench.peers.processes import Processes
from tests.bench.redis_server import forget_everything
from tests.bench.section import AbsentError, Bench

GROUP = "peers"
PER_SECOND, STEADY = 100, 400
SILENCE_SECONDS = 30.0  # without a single body: it hangs
QUIET_SECONDS = 0.5  # a second run of a task would have come by then


@dataclass(frozen=True, slots=True)
class PeerSection:
    """A peer as the runner sees it."""

    peer: Peer
    group: str = GROUP
    rounds: int | None = None

    @property
    def name(self) -> str:
        """What `--only` calls it."""
        return self.peer.name

    def prepare(self, bench: Bench) -> None:
        """Install it."""
        if self.peer.needs_redis and bench.cluster.redis_port is None:
            raise AbsentError("there is no redis-server on this machine")
        self.peer.environment.prepare(bench.cache)

    def measure(self, bench: Bench) -> Iterable[Sample]:
        """Measure one round in a fresh database."""
        try:
            return list(_Round(self.peer, bench).figures())
        except MiscountError as error:
            raise AbsentError(f"results do not count: {error}") from error


class _Round:
    def __init__(self, peer: Peer, bench: Bench) -> None:
        self.peer = peer
        self.bench = bench
        self.ran = Ledger(bench.work / f"{peer.name}.ran")
        self.asked = Ledger(bench.work / f"{peer.name}.asked")
        self.dsn = bench.cluster.database(f"bench_{peer.name.replace('-', '_')}")
        given = {"BENCH_DSN": _url(self.dsn), "BENCH_RAN": str(self.ran.path), "BENCH_ASKED": str(self.asked.path)}
        if bench.cluster.redis_port is not None:
            given["BENCH_REDIS"] = f"redis://127.0.0.1:{bench.cluster.redis_port}/0"
        self.processes = Processes(peer, bench.work / f"{peer.name}.log", given)

    def figures(self) -> Iterable[Sample]:
        """Measure and return everything of this round."""
        bulk, single = (max(10, int(tasks * self.bench.scale)) for tasks in (self.peer.bulk, self.peer.single))
        bulk_seconds, single_seconds = self._enqueue(bulk, single)
        with self.processes.working():
            self._wait_for(bulk + single)
            records = self.ran.records()
            verify(records, range(bulk + single))
            yield self._sample("drain", drained_per_second(records), "/s")
            yield self._sample("bulk enqueue", bulk / bulk_seconds, "/s")
            yield self._sample("single enqueue", single / single_seconds, "/s")
            latencies = self._pick_up(bulk + single)
        yield self._sample("pick-up p50", percentile(latencies, 0.50), "ms")
        yield self._sample("pick-up p99", percentile(latencies, 0.99), "ms")

    def _enqueue(self, bulk: int, single: int) -> tuple[float, float]:
        if self.peer.needs_redis and self.bench.cluster.redis_port is not None:
            forget_everything(self.bench.cluster.redis_port)
        self.ran.clear()
        self.asked.clear()
        self.processes.log.write_bytes(b"")
        self.processes.produce("setup")
        seconds = self.processes.produce("bulk", 0, bulk), self.processes.produce("single", bulk, single)
        self.bench.cluster.settle(self.dsn)
        return seconds

    def _pick_up(self, first: int) -> list[float]:
        self.bench.cluster.settle(self.dsn)
        time.sleep(QUIET_SECONDS)
        before = self.ran.count()
        numbers = range(first, first + max(PER_SECOND, int(STEADY * self.bench.scale)))
        self.processes.produce("steady", first, len(numbers), PER_SECOND)
        self._wait_for(before + len(numbers))
        ran = verify(self.ran.records()[before:], numbers)
        asked = verify(self.asked.records(), numbers)
        return [(ran[number] - asked[number]) / 1e6 for number in asked]

    def _wait_for(self, records: int) -> None:
        _until(lambda: self.ran.count() >= records, self.ran.count, str(self.processes.log))
        time.sleep(QUIET_SECONDS)

    def _sample(self, figure: str, value: float, unit: str) -> Sample:
        better = unit != "ms"
        return Sample(GROUP, self.peer.name, figure, value, unit, better, self.peer.environment.version())


def _until(reached: Callable[[], bool], count: Callable[[], int], log: str) -> None:
    seen, since = count(), time.monotonic()
    while not reached():
        time.sleep(0.02)
        if count() != seen:
            seen, since = count(), time.monotonic()
        elif time.monotonic() - since > SILENCE_SECONDS:
            raise AbsentError(f"its workers stood still after {seen} tasks (see {log.rsplit('/', 1)[-1]})")


def _url(dsn: str) -> str:
    parts = {name: quote(str(value)) for name, value in conninfo_to_dict(dsn).items()}
    return "postgresql://{user}@{host}:{port}/{dbname}".format(**parts)
