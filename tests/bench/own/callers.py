"""What a call costs who makes it: beside a bare INSERT, in bulk, and in a crowd that has to wake workers up."""

from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Sample
from tests.bench.own.place import Place
from tests.bench.own.samples import samples_of
from tests.bench.own.tally import TallyError
from tests.bench.own.working import LONG, warmed, workers
from tests.waiting import wait_until

sample = samples_of("callers")
PAIR_SECONDS = 6.0
BLOCK_CALLS = 20
ROWS = 100_000
CROWD = 8
SLICE_SECONDS = 0.75
CROWD_PAIRS = 6
BESIDE = {"enqueue": "of a bare INSERT", "notify": "of a bare INSERT", "notify_hot": "of many recipients"}
NAMES = {"enqueue": "enqueue()", "notify": "notify()", "notify_hot": "notify(), one hot recipient"}


def measure(place: Place) -> Iterator[Sample]:
    """Call from one process, then from eight beside two workers."""
    place.bench.say("calls of one process")
    with place.database("own_callers") as dsn:
        seconds, rows = max(0.1, PAIR_SECONDS * place.scale), place.amount(ROWS, 50)
        found = place.run("one_caller", dsn, seconds=seconds, calls=BLOCK_CALLS, rows=rows)
    for name, beside in BESIDE.items():
        own, other = found[name]
        yield sample(NAMES[name], "calls", own, "calls/s")
        yield sample(NAMES[name], beside, own / other, "x")
    for name in ("enqueue_many", "notify_many"):
        yield sample(f"{name}()", "rows", found[name], "rows/s")
    place.bench.say("calls of a crowd")
    yield from _crowd_of_enqueuers(place)
    yield from _crowd_of_notifiers(place)


def _crowd_of_enqueuers(place: Place) -> Iterator[Sample]:
    with place.database("own_crowd") as dsn, workers(place, dsn, 2) as two:
        warmed(two, place)
        two.tally.clear()
        own, bare, calls = _in_turn(place, dsn, "enqueue", "bare_task")
        wait_until(lambda: two.tally.count() >= calls, LONG, "all that was enqueued has run")
        wait_until(two.is_idle, LONG, "all is archived")
        if len(set(two.tally.read().numbers)) != calls or two.tally.count() != calls:
            raise TallyError(f"{calls} tasks were enqueued, and {two.tally.count()} ran")
    yield sample("eight enqueuers", "calls", median(own), "calls/s")
    yield sample("eight enqueuers", "of bare INSERTs", _quotient(own, bare), "x")


def _crowd_of_notifiers(place: Place) -> Iterator[Sample]:
    with place.database("own_crowd") as dsn:
        hot, spread, _ = _in_turn(place, dsn, "notify_hot", "notify")
    yield sample("eight notifiers of one recipient", "calls", median(hot), "calls/s")
    yield sample("eight notifiers of one recipient", "of many recipients", _quotient(hot, spread), "x")


def _in_turn(place: Place, dsn: str, first: str, second: str) -> tuple[list[float], list[float], int]:
    """Return the rates of both in each pair of slices, and how many calls there were; who begins, alternates."""
    pairs = place.amount(CROWD_PAIRS, 1)
    slices = [name for pair in range(pairs) for name in ((first, second) if pair % 2 else (second, first))]
    seconds = max(0.2, SLICE_SECONDS * min(1.0, place.scale * 2))
    made: list[int] = place.run("crowd", dsn, processes=CROWD, slices=slices, seconds=seconds)
    rates: dict[str, list[float]] = {first: [], second: []}
    for name, calls in zip(slices, made, strict=True):
        rates[name].append(calls / seconds)
    return rates[first], rates[second], sum(made)


def _quotient(own: list[float], other: list[float]) -> float:
    return median(one / two for one, two in zip(own, other, strict=True))
