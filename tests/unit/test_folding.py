"""Folding without a database: the published table, and the rules one by one."""

import csv
import functools
import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgsupervise.partitions.folding import Fold, FoldedBatch, Known
from pgsupervise.partitions.rows import OpenBatch, PendingEvent
from pgsupervise.partitions.states import BatchState
from pgsupervise.partitions.windows import WindowRule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACTIVITY = Path(__file__).parents[1] / "data" / "activity.csv.gz"
FIXED = WindowRule(window=HOUR)


def event(number: int, at: datetime, recipient: str = "ada", key: str = "") -> PendingEvent:
    return PendingEvent(number, "comments", recipient, "", key, at)


@functools.cache
def activity() -> list[tuple[datetime, str, str]]:
    """Return when each event was, whom it is for and what it is about; read once, for that takes a second."""
    with gzip.open(ACTIVITY, "rt", encoding="utf-8") as lines:
        return [(datetime.fromisoformat(row["at"]), row["recipient"], row["object"]) for row in csv.DictReader(lines)]


def folded(rule: WindowRule, events: list[PendingEvent], *open_batches: OpenBatch) -> list[FoldedBatch]:
    fold = Fold(lambda policy, person: rule, NOON + DAY, Known(open_batches))
    for one in events:
        fold.add(one)
    return list(fold.touched.values())


def fingerprint(batches: list[FoldedBatch], *, by_object: bool) -> tuple[int, str]:
    lines = sorted(f"{batch.key[1]}{'|' + batch.key[3] if by_object else ''}#{batch.item_count}" for batch in batches)
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("rule", "by_object", "limit", "expected"),
    [
        (WindowRule(window=DAY), False, None, (58382, "8703026a167a")),
        (WindowRule(window=DAY), False, 10_000, (3279, "7b0087a2b32f")),
        (WindowRule(window=5 * MINUTE), False, None, (82043, "0dfd8a43c12a")),
        (WindowRule(window=5 * MINUTE), False, 10_000, (6536, "3370fda2e518")),
        (WindowRule(window=HOUR), True, None, (105618, "661e5926f307")),
        (WindowRule(window=HOUR), True, 10_000, (8265, "9e5e254eb3ba")),
        (WindowRule(window=HOUR, sliding_max=DAY), False, None, (73450, "0caebb814d35")),
        (WindowRule(window=HOUR, sliding_max=DAY), False, 10_000, (5303, "0c7dce3155c7")),
        (WindowRule(window=DAY, flush_at=10), False, None, (59587, "b09c27d4d239")),
        (WindowRule(window=DAY, flush_at=10), False, 10_000, (3417, "6145864e9bfb")),
    ],
)
def test_sixteen_years_of_activity_give_the_published_digests(
    rule: WindowRule, by_object: bool, limit: int | None, expected: tuple[int, str]
) -> None:
    events = [
        event(number, at, recipient, about if by_object else "")
        for number, (at, recipient, about) in enumerate(activity()[:limit])
    ]
    assert fingerprint(folded(rule, events), by_object=by_object) == expected


def test_an_event_at_the_very_end_of_the_window_opens_the_next_batch() -> None:
    first, second = folded(FIXED, [event(1, NOON), event(2, NOON + HOUR)])
    assert (first.event_ids, first.state) == ([1], BatchState.CLOSED)
    assert (second.event_ids, second.state, second.closes_at) == ([2], BatchState.OPEN, NOON + 2 * HOUR)


def test_a_batch_that_was_open_before_the_fold_goes_on() -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 3)
    (batch,) = folded(FIXED, [event(9, NOON + MINUTE)], before)
    assert (batch.id, batch.item_count, batch.event_ids) == (7, 4, [9])


def test_an_event_behind_the_window_closes_a_batch_it_does_not_join() -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 3)
    old, new = folded(FIXED, [event(9, NOON + 2 * HOUR)], before)
    assert (old.id, old.state, old.event_ids, old.item_count) == (7, BatchState.CLOSED, [], 3)
    assert (new.id, new.event_ids) == (None, [9])


def test_an_event_older_than_the_open_batch_joins_it() -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 1)
    (batch,) = folded(FIXED, [event(9, NOON - DAY)], before)
    assert (batch.id, batch.closes_at, batch.event_ids) == (7, NOON + HOUR, [9])


def test_the_nth_event_closes_the_batch_at_once() -> None:
    first, second = folded(WindowRule(window=HOUR, flush_at=2), [event(n, NOON + n * MINUTE) for n in range(3)])
    assert (first.event_ids, first.state, first.deliver_at) == ([0, 1], BatchState.CLOSED, NOON + MINUTE)
    assert (second.event_ids, second.state) == ([2], BatchState.OPEN)


def test_a_full_batch_with_a_future_event_does_not_wait_for_the_future() -> None:
    (batch,) = folded(WindowRule(window=HOUR, flush_at=1), [event(1, NOON + 10 * DAY)])
    assert batch.deliver_at == NOON + DAY  # the event clock of the fold


def test_a_full_batch_does_not_overtake_the_batch_before_it() -> None:
    """Both came in one fold, with times that the event clock has not reached."""
    tomorrow = NOON + DAY
    rule = WindowRule(window=MINUTE, flush_at=2)
    first, second = folded(
        rule, [event(n, tomorrow + n * MINUTE) for n in (5, 7)] + [event(8, tomorrow + 7.5 * MINUTE)]
    )
    assert (first.event_ids, second.event_ids) == ([5], [7, 8])
    assert first.deliver_at <= second.deliver_at


def test_recipients_and_keys_never_share_a_batch() -> None:
    batches = folded(FIXED, [event(1, NOON, "ada"), event(2, NOON, "bob"), event(3, NOON, "ada", "doc")])
    assert [batch.event_ids for batch in batches] == [[1], [2], [3]]
