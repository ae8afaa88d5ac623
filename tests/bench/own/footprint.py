"""What pgsupervise takes of the machine: memory, connections, and processor time when there is nothing to do."""

import time
from collections.abc import Iterator

from tests.bench.figures import Sample
from tests.bench.own.kernel import cpu_seconds, pss_mib
from tests.bench.own.place import Place
from tests.bench.own.samples import samples_of
from tests.bench.own.working import Workers, backends, workers
from tests.chaos.processes import living

sample = samples_of("footprint")
FEW, MORE = 2, 4
WORK = 10_000
IDLE_WORKERS = 8
SETTLE_SECONDS = 4.0
IDLE_SECONDS = 10.0


def measure(place: Place) -> Iterator[Sample]:
    """Weigh supervisors with few workers and with four more; then watch eight that have nothing to do."""
    place.bench.say("memory and connections")
    few, few_connections = _weigh(place, FEW)
    more, more_connections = _weigh(place, FEW + MORE)
    yield sample(f"{FEW} workers", "PSS of all processes", few, "MiB", more_is_better=False)
    yield sample("each further worker", "PSS of all processes", (more - few) / MORE, "MiB", more_is_better=False)
    yield sample(f"{FEW} workers", "connections", few_connections, "", more_is_better=False)
    each = (more_connections - few_connections) / MORE
    yield sample("each further worker", "connections", each, "", more_is_better=False)
    place.bench.say(f"{IDLE_WORKERS} idle workers")
    yield from _idle(place)


def _weigh(place: Place, count: int) -> tuple[float, int]:
    with place.database("own_footprint") as dsn, workers(place, dsn, count) as some:
        some.drain(place.amount(WORK, 50))
        return pss_mib(process.pid for process in living(some.supervised.pid)), len(backends(some.connection))


def _idle(place: Place) -> Iterator[Sample]:
    seconds = IDLE_SECONDS if place.scale >= 1 else 0.5
    with place.database("own_footprint") as dsn, workers(place, dsn, IDLE_WORKERS) as eight:
        eight.drain(place.amount(WORK, 50))
        time.sleep(SETTLE_SECONDS if place.scale >= 1 else 0.0)
        own, servers = _cpu(eight), cpu_seconds(backends(eight.connection))
        time.sleep(seconds)
        own_share = [(after - before) / seconds * 100 for before, after in zip(own, _cpu(eight), strict=True)]
        servers_share = (cpu_seconds(backends(eight.connection)) - servers) / seconds * 100
    case = f"{IDLE_WORKERS} idle workers"
    yield sample(case, "their own CPU", own_share[0], "% of a core", more_is_better=False)
    yield sample(case, "with parent, keeper, exporter", own_share[1], "% of a core", more_is_better=False)
    yield sample(case, "CPU of their connections' backends", servers_share, "% of a core", more_is_better=False)


def _cpu(some: Workers) -> tuple[float, float]:
    """Return what the workers, and what all processes of the supervisor have used."""
    processes = living(some.supervised.pid)
    return (
        cpu_seconds(process.pid for process in processes if process.role.startswith("worker")),
        cpu_seconds(process.pid for process in processes),
    )
