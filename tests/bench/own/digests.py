"""Folding and sealing: by recipients, by the number of a digest's items, and at the rates that are promised."""

from collections.abc import Iterator

from tests.bench.figures import Sample
from tests.bench.own.flushing import flushing
from tests.bench.own.place import Place
from tests.bench.own.samples import samples_of

recipients_sample = samples_of("recipients")
digests_sample = samples_of("digests")
EVENTS = 100_000
RECIPIENTS = (10, 1_000, 100_000, 1_000_000)
HOT_RECIPIENTS = 10_000
DIGESTS = 20_000
POLICIES = {"of 5 items": "lean", "of 5 items, ready-made templates": "ready-made"}
ITEMS = 10_000
SIZES = (1, 10, 100, 1_000, 10_000)


def measure_recipients(place: Place) -> Iterator[Sample]:
    """Fold with two workers the events of 10 to 10^6 recipients, and those of which one recipient has half."""
    for recipients in RECIPIENTS:
        place.bench.say(f"{recipients:,} recipients")
        rate = _fold_rate(place, place.amount(max(EVENTS, recipients), 20), place.amount(recipients))
        yield recipients_sample(f"{recipients:,} recipients", "fold", rate, "events/s")
    place.bench.say("one recipient with half of all events")
    events, recipients = place.amount(EVENTS, 20), place.amount(HOT_RECIPIENTS, 10)
    rate = _fold_rate(place, events, recipients, events // 2)
    yield recipients_sample("one with half of all", "fold", rate, "events/s")


def _fold_rate(place: Place, events: int, recipients: int, hot: int = 0) -> float:
    with flushing(place) as two:
        return events / two.fold("lean", events, recipients, hot)


def measure_digests(place: Place) -> Iterator[Sample]:
    """Seal and send with two workers to the null channel: many digests of five items, then fewer and larger ones."""
    digests = place.amount(DIGESTS, 10)
    for case, policy in POLICIES.items():
        place.bench.say(f"digests {case}")
        with flushing(place) as two:
            rate = 5 * digests / two.fold(policy, 5 * digests, digests)
            sent = two.send(5 * digests, digests)
        yield digests_sample(case, "fold", rate, "events/s")
        yield digests_sample(case, "seal", digests / max(sent.sealing, 1e-3), "digests/s")
        yield digests_sample(case, "sealed and sent", digests / sent.seconds, "digests/s")
    yield from _by_items(place, place.amount(ITEMS, 10))


def _by_items(place: Place, events: int) -> Iterator[Sample]:
    with flushing(place) as two:
        for size in SIZES:
            place.bench.say(f"digests of {size:,} items")
            digests = max(1, events // size)
            two.empty()
            rate = events / two.fold("lean", events, digests)
            sent = two.send(events, digests)
            case = f"{size:,} items in each of {digests:,}"
            yield digests_sample(case, "fold", rate, "events/s")
            yield digests_sample(case, "sealed and sent", digests / sent.seconds, "digests/s")
            yield digests_sample(case, "items sent", events / sent.seconds, "items/s")
