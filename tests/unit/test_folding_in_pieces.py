"""However the events are cut into folds, the digests are the same: for every kind of window, in any mixture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.partitions.folding import Fold, FoldedBatch, Key, Known
from pgsupervise.partitions.rows import OpenBatch, PendingEvent, Person
from pgsupervise.partitions.states import BatchState, Reason
from pgsupervise.partitions.windows import WindowRule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1000)
MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE

RULES = {
    "fixed": WindowRule(window=20 * MINUTE),
    "sliding": WindowRule(window=10 * MINUTE, sliding_max=25 * MINUTE),
    "nth": WindowRule(window=HOUR, flush_at=3),
    "leading": WindowRule(window=15 * MINUTE, leading=True),
    "leading-sliding": WindowRule(window=10 * MINUTE, sliding_max=30 * MINUTE, leading=True, flush_at=2),
    "quiet": WindowRule(window=10 * MINUTE, quiet=12 * MINUTE),
    "hourly": WindowRule(window=HOUR, end=lambda event, _: event.occurred_at.replace(minute=0) + HOUR),
    "until": WindowRule(window=HOUR, end=lambda event, _: NOON + 2 * HOUR),
    "by-data": WindowRule(window=HOUR, end=lambda event, _: event.occurred_at + int(event.data_json or 0) * MINUTE),
}
HOSTS = {"guest of quiet": "quiet", "guest of leading": "leading"}
GAPS = st.sampled_from([0, 1, 3, 5, 9, 13, 30])
OTHERS = st.lists(st.sampled_from([*RULES, *HOSTS]), max_size=1)
BOB = Person(recipient="bob")


def rule_of(key: Key, person: Person | None) -> WindowRule:
    """Bob wishes for five minutes in everything of a tenant's, and for no batch at all in the hourly."""
    rule = RULES[key[0]]
    if person is None:
        return rule
    if key[0] == "hourly":
        return WindowRule(window=HOUR, end=lambda event, _: event.occurred_at)
    return WindowRule(window=5 * MINUTE, quiet=rule.quiet, leading=rule.leading) if key[2] else rule


@dataclass
class Tables:
    """What the tables keep from one fold to the next."""

    batches: list[FoldedBatch] = field(default_factory=list)
    filtered: list[tuple[int, Reason]] = field(default_factory=list)

    def fold(self, events: Sequence[PendingEvent]) -> None:
        fold = Fold(rule_of, LATER, self.known(), HOSTS)
        for event in events:
            fold.add(event)
        for batch in fold.touched.values():
            if batch.id is None:
                batch.id = len(self.batches)
                self.batches.append(batch)
            else:
                former = self.batches[batch.id]
                assert former.state is BatchState.OPEN
                batch.event_ids[:0] = former.event_ids
                self.batches[batch.id] = batch
        self.filtered += fold.filtered

    def known(self) -> Known:
        batches = [
            OpenBatch(
                batch.id or 0,
                *batch.key,
                batch.opened_at,
                batch.closes_at,
                batch.item_count,
                batch.last_at,
                slides_by=batch.slide and batch.slide.by,
                slides_until=batch.slide and batch.slide.until,
            )
            for batch in self.batches
            if batch.state is BatchState.OPEN
        ]
        last_at = {batch.key: batch.last_at for batch in self.batches if batch.last_at and RULES[batch.key[0]].quiet}
        return Known(batches, {"bob": BOB}, last_at)

    def digests(self) -> list[tuple[object, ...]]:
        return sorted(
            (batch.key, batch.opened_at, batch.event_ids, batch.closes_at, batch.deliver_at, batch.state, batch.last_at)
            for batch in self.batches
        )


@st.composite
def histories(draw: st.DrawFn) -> list[PendingEvent]:
    """Draw events in order of (occurred_at, id), as a fold reads them: of few keys, so that they meet."""
    host = draw(st.sampled_from([*RULES, "quiet", "quiet"]))
    shapes = st.tuples(
        GAPS,
        st.sampled_from([host, host, *(guest for guest, its in HOSTS.items() if its == host), *draw(OTHERS)]),
        st.sampled_from(draw(st.sampled_from([["ada"], ["bob"], ["ada", "bob"]]))),
        st.sampled_from(draw(st.sampled_from([[""], ["acme"], ["", "acme"]]))),
        st.sampled_from(draw(st.sampled_from([[""], ["", "doc"]]))),
        st.sampled_from(["event"] * 12 + ["flush", "own"]),
        st.sampled_from(["0", "7", "40"]),
    )
    drawn = draw(st.lists(shapes, min_size=2, max_size=30))
    minutes = accumulate(gap for gap, *_ in drawn)
    return [
        PendingEvent(
            number, policy, recipient, tenant, key, NOON + minute * MINUTE, kind, data if kind != "flush" else "{}"
        )
        for number, (minute, (_, policy, recipient, tenant, key, kind, data)) in enumerate(
            zip(minutes, drawn, strict=True)
        )
    ]


@given(histories(), st.lists(st.integers(0, 40), max_size=8))
def test_folding_piece_by_piece_gives_what_folding_at_once_gives(events: list[PendingEvent], cuts: list[int]) -> None:
    at_once = Tables()
    at_once.fold(events)
    for places in ([0, *sorted(cuts), len(events)], range(len(events) + 1)):
        in_pieces = Tables()
        for begin, end in pairwise(places):
            in_pieces.fold(events[begin:end])
        assert in_pieces.digests() == at_once.digests()
        assert in_pieces.filtered == at_once.filtered


@given(histories(), st.integers(1, 5))
def test_each_event_is_in_one_batch_or_left_out_and_at_most_one_batch_of_a_key_is_open(
    events: list[PendingEvent], size: int
) -> None:
    tables = Tables()
    for begin in range(0, len(events), size):
        tables.fold(events[begin : begin + size])
        batches = tables.batches
        open_keys = [batch.key for batch in batches if batch.state is BatchState.OPEN]
        assert len(open_keys) == len(set(open_keys))
    batched = [event_id for batch in tables.batches for event_id in batch.event_ids]
    left_out = [event_id for event_id, _ in tables.filtered]
    assert sorted(batched + left_out) == [event.id for event in events]
    assert all(batch.item_count == len(batch.event_ids) for batch in tables.batches)
    kinds = {event.id: event.kind for event in events}
    assert all(kinds[event_id] == "event" for event_id in batched)
