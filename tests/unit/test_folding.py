"""Folding without a database: the published table, and the rules one by one."""

import csv
import functools
import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgsupervise.partitions.folding import Fold, FoldedBatch, Key, Known
from pgsupervise.partitions.rows import OpenBatch, PendingEvent, Person
from pgsupervise.partitions.states import BatchState, Reason
from pgsupervise.partitions.windows import WindowRule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACTIVITY = Path(__file__).parents[1] / "data" / "activity.csv.gz"
FIXED = WindowRule(window=HOUR)


def event(
    number: int, at: datetime, recipient: str = "ada", key: str = "", *, kind: str = "event", policy: str = "comments"
) -> PendingEvent:
    return PendingEvent(number, policy, recipient, "", key, at, kind)


@functools.cache
def activity() -> list[tuple[datetime, str, str]]:
    """Return when each event was, whom it is for and what it is about; read once, for that takes a second."""
    with gzip.open(ACTIVITY, "rt", encoding="utf-8") as lines:
        return [(datetime.fromisoformat(row["at"]), row["recipient"], row["object"]) for row in csv.DictReader(lines)]


@functools.cache
def events_of_activity(by_object: bool) -> list[PendingEvent]:
    """Return the same as events, which no fold changes; they know what they are about, or their recipient alone."""
    return [
        event(number, at, recipient, about if by_object else "")
        for number, (at, recipient, about) in enumerate(activity())
    ]


def folded(rule: WindowRule, events: list[PendingEvent], *open_batches: OpenBatch) -> list[FoldedBatch]:
    return list(fold_of(rule, events, Known(open_batches)).touched.values())


def fold_of(
    rule: WindowRule, events: list[PendingEvent], known: Known | None = None, hosts: dict[str, str] | None = None
) -> Fold:
    fold = Fold(lambda key, person: rule, NOON + DAY, known or Known(), hosts)
    for one in events:
        fold.add(one)
    return fold


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
    events = events_of_activity(by_object)[:limit]
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


def test_a_leading_event_goes_at_once_and_what_follows_is_batched() -> None:
    rule = WindowRule(window=HOUR, leading=True)
    first, rest = folded(rule, [event(n, NOON + n * MINUTE) for n in range(3)])
    assert (first.event_ids, first.state, first.deliver_at) == ([0], BatchState.CLOSED, NOON)
    assert (rest.event_ids, rest.state, rest.closes_at) == ([1, 2], BatchState.OPEN, NOON + HOUR)


def test_a_leading_batch_that_stays_empty_is_closed_and_the_next_event_leads_again() -> None:
    rule = WindowRule(window=HOUR, leading=True)
    first, empty, second, _ = folded(rule, [event(1, NOON), event(2, NOON + HOUR)])
    assert (empty.event_ids, empty.item_count, empty.state) == ([], 0, BatchState.CLOSED)
    assert (first.event_ids, second.event_ids, second.deliver_at) == ([1], [2], NOON + HOUR)


def test_an_event_after_quiet_goes_at_once_and_opens_nothing() -> None:
    rule = WindowRule(window=HOUR, quiet=10 * MINUTE)
    first, batch = folded(rule, [event(1, NOON), event(2, NOON + 10 * MINUTE), event(3, NOON + 30 * MINUTE)])
    assert (first.event_ids, first.state, first.deliver_at) == ([1], BatchState.CLOSED, NOON)
    assert (batch.event_ids, batch.state, batch.closes_at) == ([2, 3], BatchState.OPEN, NOON + 70 * MINUTE)


def test_quiet_is_counted_from_the_last_event_whatever_batch_it_is_in() -> None:
    rule = WindowRule(window=MINUTE, quiet=10 * MINUTE)
    minutes = [0, 9, 18, 28.5]
    batches = folded(rule, [event(n, NOON + minute * MINUTE) for n, minute in enumerate(minutes)])
    at_once = [batch.deliver_at == batch.opened_at for batch in batches]
    assert at_once == [True, False, False, True]
    known = Known(last_at={("comments", "ada", "", ""): NOON - 5 * MINUTE})
    (batch,) = fold_of(rule, [event(1, NOON)], known).touched.values()
    assert batch.state is BatchState.OPEN


SLIDING = WindowRule(window=HOUR, sliding_max=5 * HOUR)


@pytest.mark.parametrize(
    ("slides", "rule", "end"),
    [
        ((0 * MINUTE, NOON), SLIDING, NOON + HOUR),
        ((HOUR, NOON + 90 * MINUTE), FIXED, NOON + 90 * MINUTE),
        ((2 * HOUR, NOON + DAY), SLIDING, NOON + 170 * MINUTE),
        ((None, None), SLIDING, NOON + 110 * MINUTE),
        ((None, None), FIXED, NOON + HOUR),
    ],
)
def test_a_batch_moves_as_the_window_says_that_it_was_opened_with(
    slides: tuple[timedelta | None, datetime | None], rule: WindowRule, end: datetime
) -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 3, NOON, 0, *slides)
    (batch,) = folded(rule, [event(1, NOON + 50 * MINUTE)], before)
    assert (batch.closes_at, batch.deliver_at) == (end, end)


def test_only_who_asks_for_it_gives_an_open_batch_the_window_of_now() -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 3, NOON, 0, 0 * MINUTE, None)
    asks = event(1, NOON + 30 * MINUTE, kind="recompute")._replace(data_json=f'{{"closes_at": "{NOON + HOUR}"}}')
    (batch,) = folded(SLIDING, [asks, event(2, NOON + 50 * MINUTE)], before)
    assert (batch.closes_at, batch.slide) == (NOON + 110 * MINUTE, SLIDING.slide(NOON))


def test_a_flush_closes_the_open_batch_and_is_in_none() -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 3)
    fold = fold_of(
        FIXED,
        [event(1, NOON + MINUTE), event(2, NOON + 2 * MINUTE, kind="flush"), event(3, NOON + 3 * MINUTE)],
        Known([before]),
    )
    closed, opened = fold.touched.values()
    assert (closed.id, closed.event_ids, closed.state) == (7, [1], BatchState.CLOSED)
    assert closed.deliver_at == NOON + 2 * MINUTE
    assert (opened.event_ids, opened.state) == ([3], BatchState.OPEN)
    assert fold.filtered == [(2, Reason.FLUSH)]


def test_a_flush_of_nothing_does_nothing() -> None:
    fold = fold_of(FIXED, [event(1, NOON, kind="flush")])
    assert (list(fold.touched), fold.filtered) == ([], [(1, Reason.FLUSH)])


def test_a_flush_leaves_other_keys_alone() -> None:
    fold = fold_of(FIXED, [event(1, NOON, key="a"), event(2, NOON, key="b"), event(3, NOON, key="a", kind="flush")])
    assert [batch.state for batch in fold.touched.values()] == [BatchState.CLOSED, BatchState.OPEN]


def test_what_was_taken_back_does_not_count_for_the_nth_event() -> None:
    before = OpenBatch(7, "comments", "ada", "", "", NOON, NOON + HOUR, 3, NOON, 2)
    (batch,) = folded(WindowRule(window=HOUR, flush_at=3), [event(1, NOON)], before)
    assert (batch.state, batch.item_count) == (BatchState.OPEN, 4)
    (batch,) = folded(WindowRule(window=HOUR, flush_at=3), [event(1, NOON), event(2, NOON)], before)
    assert batch.state is BatchState.CLOSED


def test_what_a_recipient_did_itself_is_left_out() -> None:
    fold = fold_of(FIXED, [event(1, NOON, kind="own"), event(2, NOON)])
    (batch,) = fold.touched.values()
    assert (batch.event_ids, fold.filtered) == ([2], [(1, Reason.OWN_ACTION)])


def test_several_policies_share_a_digest() -> None:
    hosts = {"likes": "daily", "comments": "daily"}
    fold = fold_of(FIXED, [event(1, NOON, policy="likes"), event(2, NOON), event(3, NOON, policy="daily")], hosts=hosts)
    (batch,) = fold.touched.values()
    assert (batch.key, batch.event_ids) == (("daily", "ada", "", ""), [1, 2, 3])


def test_a_flush_of_a_guest_closes_its_hosts_batch() -> None:
    fold = fold_of(
        FIXED,
        [event(1, NOON, policy="daily"), event(2, NOON, policy="likes", kind="flush")],
        hosts={"likes": "daily"},
    )
    assert [batch.state for batch in fold.touched.values()] == [BatchState.CLOSED]


def test_tenants_never_share_a_batch() -> None:
    events = [event(n, NOON)._replace(tenant=tenant) for n, tenant in enumerate(["acme", "", "acme"])]
    assert [batch.event_ids for batch in folded(FIXED, events)] == [[0, 2], [1]]


def test_the_rule_is_asked_for_once_for_each_key_of_a_person() -> None:
    """Wishes have many levels, and a fold has many events."""
    asked: list[Key] = []

    def rule(key: Key, person: Person | None) -> WindowRule:
        assert person is not None
        asked.append(key)
        return WindowRule(window=HOUR if key[2] else MINUTE)

    fold = Fold(rule, NOON, Known(persons={"ada": Person(recipient="ada")}))
    for number in range(4):
        fold.add(event(number, NOON)._replace(tenant="acme" if number % 2 else ""))
    assert asked == [("comments", "ada", "", ""), ("comments", "ada", "acme", "")]
    assert [batch.closes_at - NOON for batch in fold.touched.values()] == [MINUTE, HOUR]


def test_a_window_that_is_past_when_it_opens_takes_its_first_event_alone() -> None:
    rule = WindowRule(window=HOUR, end=lambda event, person: NOON)
    first, second = folded(rule, [event(1, NOON + MINUTE), event(2, NOON + MINUTE)])
    assert (first.event_ids, first.deliver_at, second.event_ids) == ([1], NOON + MINUTE, [2])


def test_quiet_is_counted_from_the_last_event_of_a_batch_not_from_its_first() -> None:
    rule = WindowRule(window=5 * MINUTE, quiet=10 * MINUTE)
    batches = folded(rule, [event(n, NOON + minute * MINUTE) for n, minute in enumerate([0, 3, 7, 15])])
    assert [(batch.event_ids, batch.state) for batch in batches[1:]] == [
        ([1, 2], BatchState.CLOSED),
        ([3], BatchState.OPEN),
    ]
