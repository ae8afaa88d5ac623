"""Holds the events' evidence against the conservation law: each event in exactly one digest, each digest delivered."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.chaos.causes import cause
from tests.chaos.evidence import READ, BatchRow, Evidence, Message, Violation

RESENT_BY = ("sendgrid",)
"""Channels that know no second sending of the same message; the others must deliver exactly once."""


def audit_digests(evidence: Evidence) -> list[Violation]:
    """Return every broken promise about events, batches, deliveries and messages."""
    return [*_events(evidence), *_left_out(evidence), *_batches(evidence), *_items(evidence), *_messages(evidence)]


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
        is_out = row.state in ("RETRACTED", "FILTERED")
        if (not is_out and row.state != "FOLDED") or (row.batch not in batches and not (is_out and row.batch is None)):
            yield Violation("lost event", f"event {row.number} is {row.state}, in the batch {row.batch}")


def _left_out(evidence: Evidence) -> Iterator[Violation]:
    """What is in no digest was taken back, read, muted or too little; and what was answered is so."""
    reasons: dict[int | None, str] = {batch.id: batch.reason for batch in evidence.batches}
    retracted = {answer.number for answer in evidence.answers if answer.answer != READ}
    read = {answer.number for answer in evidence.answers if answer.answer == READ}
    for row in evidence.event_rows:
        explained = {
            ("FOLDED", ""): True,
            ("RETRACTED", ""): row.number in retracted,
            ("FILTERED", "read"): row.number in read,
            ("FILTERED", "muted"): row.recipient in evidence.fickle and reasons.get(row.batch) == "muted",
            ("FILTERED", "below minimum"): reasons.get(row.batch) == "below minimum",
        }
        if row.state != "PENDING" and not explained.get((row.state, row.reason)):
            yield Violation("left out", f"event {row.number} is {row.state} ({row.reason}), for nothing that was done")
    rows = {row.number: row for row in evidence.event_rows}
    for answer in evidence.answers:
        found = rows.get(answer.number)
        if found is None or not answer.is_certain or answer.answer == READ:
            continue
        if (found.state == "FOLDED") != (answer.answer in ("SEALED", "SENT")):
            yield Violation("wrong answer", f"{answer}, and event {found.number} is {found.state} ({found.reason})")


def _batches(evidence: Evidence) -> Iterator[Violation]:
    for batch in evidence.batches:
        wanted = 0 if batch.reason else 1
        if batch.state != "SEALED" or batch.deliveries != wanted:
            text = f"batch {batch.id} is {batch.state} ({batch.reason}) with {batch.deliveries} deliveries"
            yield Violation("not sealed", text)
        elif batch.reason not in ("", "muted", "below minimum", "empty"):
            yield Violation("not sealed", f"batch {batch.id} is sealed for the reason {batch.reason!r}")
        elif batch.delivery_state == "SKIPPED":
            yield from _skipped(evidence, batch)
        elif wanted and batch.delivery_state != "ACCEPTED":
            yield Violation("not delivered", f"delivery {batch.delivery} is {batch.delivery_state}")


def _skipped(evidence: Evidence, batch: BatchRow) -> Iterator[Violation]:
    """Its recipient no longer wishes it, or has read all that is in it."""
    read = {answer.number for answer in evidence.answers if answer.answer == READ}
    is_read = batch.delivery_reason == "read" and read.issuperset(batch.numbers)
    is_unwished = batch.recipient in evidence.fickle and batch.delivery_reason in (
        "muted",
        f"no longer wished by {batch.channel}",
    )
    if not is_read and not is_unwished:
        yield Violation("not delivered", f"delivery {batch.delivery} is SKIPPED: {batch.delivery_reason}")


def _items(evidence: Evidence) -> Iterator[Violation]:
    """A batch counts what was folded into it; its delivery's payload and the text in it name what is left of that."""
    counted: Counter[int | None] = Counter(row.batch for row in evidence.event_rows)
    folded: dict[int | None, list[tuple[int, int]]] = defaultdict(list)
    for row in evidence.event_rows:
        if row.state == "FOLDED":
            folded[row.batch].append((row.id, row.number))
    for batch in evidence.batches:
        events = folded[batch.id]
        if batch.item_count != counted[batch.id]:
            yield Violation("item count", f"batch {batch.id} counts {batch.item_count} of {counted[batch.id]} events")
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
        if batch.delivery_state == "ACCEPTED" and not arrived:
            yield Violation("lost message", f"delivery {batch.delivery} is ACCEPTED and nothing arrived")
        if batch.delivery_state == "SKIPPED" and arrived:
            yield from _arrived_and_skipped(evidence, batch, arrived)
        yield from _arrived(evidence, batch, arrived)
    for delivery in by_delivery:
        yield Violation("stray message", f"a message of the unknown delivery {delivery} arrived")


def _arrived_and_skipped(evidence: Evidence, batch: BatchRow, arrived: Sequence[Message]) -> Iterator[Violation]:
    """It arrived by a try of which nobody heard any more, and before the next one was wished no longer."""
    first = arrived[0].at
    if cause(evidence.faults, "", 0, since=first - evidence.dead_after, until=first + evidence.dead_after) is None:
        yield Violation("skipped message", f"delivery {batch.delivery} is SKIPPED and has arrived")


def _arrived(evidence: Evidence, batch: BatchRow, arrived: list[Message]) -> Iterator[Violation]:
    for message in arrived:
        if sorted(message.numbers) != sorted(batch.numbers) or message.content != arrived[0].content:
            yield Violation("changed message", f"delivery {batch.delivery} arrived as {message}, not {batch.numbers}")
    for first, second in pairwise(arrived):
        since = first.at - evidence.dead_after
        explained = cause(evidence.faults, "", 0, since=since, until=second.at)
        if batch.channel not in RESENT_BY or explained is None:
            yield Violation("unexplained resend", f"delivery {batch.delivery} arrived {len(arrived)} times")
