"""What is not to slow the drain: finished rows, scheduled rows, and a session that holds an old snapshot open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import psycopg

from tests.bench.figures import Sample
from tests.bench.own import filling
from tests.bench.own.place import Place
from tests.bench.own.samples import samples_of
from tests.bench.own.working import Workers, warmed, workers

sample = samples_of("bystanders")
TASKS = 200_000
BLOCK = 50_000
PAIRS = 3
Fill = Callable[[psycopg.Connection, int], None]
LOADS: dict[str, tuple[Fill, int]] = {
    "200,000 scheduled ahead": (filling.scheduled, 200_000),
    "5,000,000 finished rows": (filling.finished, 5_000_000),
}
HOLDING = {"an idle REPEATABLE READ session": True, "no other session": False}


def measure(place: Place) -> Iterator[Sample]:
    """Drain with two workers beside each of them."""
    for label, (fill, count) in LOADS.items():
        place.bench.say(label)
        empty, loaded = _beside(place, fill, place.amount(count, 20))
        yield sample(label, "drain", median(loaded), "tasks/s")
        ratio = median(slow / fast for slow, fast in zip(loaded, empty, strict=True))
        yield sample(label, "of the drain without", ratio, "x")
    yield from _held(place)


def _beside(place: Place, fill: Fill, count: int) -> tuple[list[float], list[float]]:
    """Drain in turn in an empty database and in a loaded one, so that both see the same moods of the machine."""
    tasks = place.amount(BLOCK, 20)
    rates: tuple[list[float], list[float]] = [], []
    with place.database("own_empty") as empty, place.database("own_loaded") as loaded:
        with psycopg.connect(loaded, autocommit=True) as connection:
            fill(connection, count)
        place.bench.cluster.settle(loaded)
        with workers(place, empty, 2) as without, workers(place, loaded, 2) as beside:
            both = [(warmed(without, place), rates[0]), (warmed(beside, place), rates[1])]
            for pair in range(PAIRS):
                for those, kept in both if pair % 2 else reversed(both):
                    kept.append(those.drain(tasks).rate)
    return rates


def _held(place: Place) -> Iterator[Sample]:
    for label, holding in HOLDING.items():
        place.bench.say(label)
        with place.database("own_held") as dsn, workers(place, dsn, 2) as two:
            warmed(two, place)
            tenths = _tenths(place, two, dsn, holding)
        first, last = tenths[0], tenths[-1]
        yield sample(label, "drain, last tenth", last, "tasks/s")
        yield sample(label, "of the first tenth", last / first, "x")


def _tenths(place: Place, two: Workers, dsn: str, holding: bool) -> list[float]:
    tasks = place.amount(TASKS, 40)
    if not holding:
        return two.drain(tasks).tenths()
    with _old_snapshot(dsn):
        return two.drain(tasks).tenths()


@contextmanager
def _old_snapshot(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pgsupervise_task")
        yield
        connection.rollback()
