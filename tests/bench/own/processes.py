"""How the drain's rate depends on the number of workers and on the chunk."""

from collections.abc import Iterator

from tests.bench.figures import Sample
from tests.bench.own.place import Place
from tests.bench.own.project.variables import CHUNK
from tests.bench.own.samples import samples_of
from tests.bench.own.working import warmed, workers

workers_sample = samples_of("workers")
chunks_sample = samples_of("chunks")
WORKERS = (1, 2, 4, 8, 16)
TASKS = 60_000
# Few, so that each holds more than the largest chunk: a chunk is of one bucket.
CHUNK_BUCKETS = 16
CHUNKS = {1: 4_000, 10: 20_000, 100: 60_000, 500: 60_000, 2_000: 60_000}


def measure_workers(place: Place) -> Iterator[Sample]:
    """Drain with 1 to 16 workers. More of them than cores need not be faster; they must not be slower."""
    for count in WORKERS:
        place.bench.say(f"{count} workers")
        with place.database("own_workers") as dsn, workers(place, dsn, count) as some:
            rate = warmed(some, place).drain(place.amount(TASKS, 40)).rate
        yield workers_sample(f"{count} workers", "drain", rate, "tasks/s")


def measure_chunks(place: Place) -> Iterator[Sample]:
    """Drain with two workers that claim at most so many tasks at once."""
    for chunk, tasks in CHUNKS.items():
        place.bench.say(f"chunks of {chunk}")
        how = {CHUNK: str(chunk)}
        with place.database("own_chunks") as dsn, workers(place, dsn, 2, environment=how) as two:
            rate = warmed(two, place).drain(place.amount(tasks, 20), CHUNK_BUCKETS).rate
        yield chunks_sample(f"chunks of {chunk:,}", "drain", rate, "tasks/s")
