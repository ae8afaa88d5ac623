"""How the drain's rate depends on what waits: 10^3 to 10^6 ready tasks, each against its own empty start."""

from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Sample
from tests.bench.own.place import Place
from tests.bench.own.samples import samples_of
from tests.bench.own.working import warmed, workers

sample = samples_of("backlog")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
SMALL = 10_000
SMALL_ROUNDS = 3


def measure(place: Place) -> Iterator[Sample]:
    """Drain each backlog with two workers in a database of its own, after three drains of 10,000 as its start."""
    for size in SIZES:
        place.bench.say(f"a backlog of {size:,}")
        rate, start = _drain(place, place.amount(size, 20))
        yield sample(f"{size:,} ready", "drain", rate, "tasks/s")
        yield sample(f"{size:,} ready", f"of its own start with {SMALL:,}", rate / start, "x")


def _drain(place: Place, tasks: int) -> tuple[float, float]:
    """Return the rate of a backlog and that of small ones before it."""
    small = place.amount(SMALL, 20)
    with place.database("own_backlog") as dsn, workers(place, dsn, 2) as two:
        warmed(two, place)
        start = median(two.drain(small).rate for _ in range(SMALL_ROUNDS))
        rounds = SMALL_ROUNDS if tasks <= small else 1
        return median(two.drain(tasks).rate for _ in range(rounds)), start
