"""Holds the events' evidence against the conservation law: each event in exactly one digest, each digest delivered."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.causes import cause
from tests.chaos.evidence import BatchRow, Evidence, Message, Violation

RESENT_BY = ("sendgrid",)
"""Channels that know no second sending of the same message; the others must deliver exactly once."""


def audit_digests(evidence: Evidence) -> list[Violation]:
    """Return every broken promise about events, batches, deliveries and messages."""
    return [*_events(evidence), *_batches(evidence), *_items(evidence), *_messages(evidence)]


def _events(evidence: Evidence) -> Iterator[Violation]:
    rows = Counter(row.number for row in evidence.event_rows)
    present = set(rows)
    wanted = evidence.events.committed.union(*(group for group in evidence.events.uncertain if group & present))
    batches = {batch.id for batch in evidence.batches}
    for number in sorted(wanted - present):
        yield Violation("lost event", f"event {number} was committed and has no row")
    for number in sorted(present - wanted):
        yield Violation("unwanted event", f"event {number} was rolled back and has a row")
    for number in sorted(number for number, count in rows.items() if count > 1):
        yield Violation("two events", f"event {number} has {rows[number]} rows")
    for row in evidence.event_rows:
        if row.state != "FOLDED" or row.batch not in batches:
            yield Violation("lost event", f"event {row.number} is {row.state}, in the batch {row.batch}")


def _batches(evidence: Evidence) -> Iterator[Violation]:
    for batch in evidence.batches:
        if batch.state != "SEALED" or batch.deliveries != 1:
            yield Violation("not sealed", f"batch {batch.id} is {batch.state} with {batch.deliveries} deliveries")
        elif batch.delivery_state != "ACCEPTED":
            yield Violation("not delivered", f"delivery {batch.delivery} is {batch.delivery_state}")


def _items(evidence: Evidence) -> Iterator[Violation]:
    """A batch's count, its delivery's payload and the text in it all name the events that were folded into it."""
    folded: dict[int | None, list[tuple[int, int]]] = defaultdict(list)
    for row in evidence.event_rows:
        folded[row.batch].append((row.id, row.number))
    for batch in evidence.batches:
        events = folded[batch.id]
        if batch.item_count != len(events):
            yield Violation("item count", f"batch {batch.id} counts {batch.item_count} of {len(events)} events")
        ids, numbers = sorted(id_ for id_, _ in events), sorted(number for _, number in events)
        if sorted(batch.item_ids) != ids:
            yield Violation("wrong items", f"batch {batch.id} has events {ids}, its delivery {sorted(batch.item_ids)}")
        if sorted(batch.numbers) != numbers:
            yield Violation("wrong text", f"batch {batch.id} has numbers {numbers}, its text {sorted(batch.numbers)}")
    told = Counter(number for batch in evidence.batches for number in batch.numbers)
    for number in sorted(number for number, count in told.items() if count > 1):
        yield Violation("event in two digests", f"event {number} stands in {told[number]} places")


def _messages(evidence: Evidence) -> Iterator[Violation]:
    by_delivery: dict[int | None, list[Message]] = defaultdict(list)
    for message in sorted(evidence.messages, key=lambda message: message.at):
        by_delivery[message.delivery].append(message)
    for batch in evidence.batches:
        arrived = by_delivery.pop(batch.delivery, [])
        if batch.delivery_state == "ACCEPTED":
            yield from _arrived(evidence, batch, arrived)
    for delivery in by_delivery:
        yield Violation("stray message", f"a message of the unknown delivery {delivery} arrived")


def _arrived(evidence: Evidence, batch: BatchRow, arrived: list[Message]) -> Iterator[Violation]:
    if not arrived:
        yield Violation("lost message", f"delivery {batch.delivery} is ACCEPTED and nothing arrived")
        return
    for message in arrived:
        if sorted(message.numbers) != sorted(batch.numbers) or message.content != arrived[0].content:
            yield Violation("changed message", f"delivery {batch.delivery} arrived as {message}, not {batch.numbers}")
    for first, second in pairwise(arrived):
        since = first.at - evidence.dead_after
        explained = cause(evidence.faults, "", 0, since=since, until=second.at)
        if batch.channel not in RESENT_BY or explained is None:
            yield Violation("unexplained resend", f"delivery {batch.delivery} arrived {len(arrived)} times")
