"""Holds the tables against the model after each step: the conservation law, and what each batch has become."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from pgsupervise.django_app.conservation import conservation
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState

from .history import History
from .kinds import MINIMUM, RULES
from .model import Key, Told, Where, windows

# The conservation law: where each event is, by the tables alone.
WHERE_IS = """
SELECT e.id, CASE WHEN e.state <> 'FOLDED' THEN e.state WHEN b.state = 'SEALED' THEN 'SEALED' ELSE 'OPEN' END, e.reason,
    e.batch_id, e.read_at IS NOT NULL
FROM pgsupervise_event e
LEFT JOIN pgsupervise_batch b ON b.id = e.batch_id AND b.bucket = e.bucket
ORDER BY e.id
"""
BATCHES = """
SELECT b.id, b.policy, b.recipient, b.tenant, b.key, b.state, b.reason, b.opened_at, b.closes_at, b.deliver_at,
    b.item_count, b.error
FROM pgsupervise_batch b ORDER BY b.id
"""
DUE = """
SELECT id, policy, deliver_at FROM pgsupervise_batch WHERE state <> 'SEALED' AND deliver_at <= %s
"""
ARRIVED = """
SELECT d.id, d.state, d.error, d.channel, m.id IS NOT NULL
FROM pgsupervise_delivery d
LEFT JOIN pgsupervise_inboxmessage m ON m.delivery_id = d.id AND m.item_ids = d.payload->'item_ids'
    AND m.text = d.payload->>'text' AND m.recipient = d.recipient
"""
DELIVERIES = "SELECT batch_id, channel, payload::text, payload->'item_ids' FROM pgsupervise_delivery ORDER BY id"
STEPS = {
    Where.PENDING: set(Where),
    Where.OPEN: {Where.OPEN, Where.SEALED, Where.RETRACTED, Where.FILTERED},
}
AT_THE_SEAL = ("muted", "below minimum")


class Row(NamedTuple):
    """A batch as the tables have it."""

    id: int
    policy: str
    recipient: str
    tenant: str
    key_text: str
    state: str
    reason: str
    opened_at: datetime
    closes_at: datetime
    deliver_at: datetime
    item_count: int
    error: str

    @property
    def key(self) -> Key:
        """The key of which at most one batch is open."""
        return self.policy, self.recipient, self.tenant, self.key_text


class Judge:
    """Looks at the tables of one history."""

    def __init__(self, connection: psycopg.Connection, history: History) -> None:
        self._connection = connection
        self._history = history

    def look(self) -> None:
        """Follow each event and each batch to where it is now."""
        by_batch = self._events()
        rows = [Row(*row) for row in self._connection.execute(BATCHES)]
        self._one_open(rows)
        messages: dict[int, list[Any]] = defaultdict(list)
        for batch, *message in self._connection.execute(DELIVERIES):
            messages[batch].append(tuple(message))
        for row in rows:
            events = sorted(by_batch.pop(row.id, []), key=lambda event: event.order)
            assert row.item_count == len(events), row
            assert row.error == "", row
            self._sealed_once(row, events, messages.pop(row.id, []))
        assert not by_batch, "an event is in no batch that there is"
        assert not messages, "a message is of no batch that there is"
        self._windows(rows)

    def _events(self) -> dict[int, list[Told]]:
        found = self._connection.execute(WHERE_IS).fetchall()
        assert [row[0] for row in found] == [event.id for event in self._history.told]
        by_batch: dict[int, list[Told]] = defaultdict(list)
        for event, (_, state, reason, batch, is_read) in zip(self._history.told, found, strict=True):
            where = Where(state)
            assert where in STEPS.get(event.where, {event.where}), f"{event} is {state}"
            assert event.batch in (None, batch), f"{event} has gone to batch {batch}"
            assert is_read == event.is_read, event
            if where is Where.RETRACTED or reason == "read":
                assert event.where is where, f"{event} was taken back by nobody"
            if where is Where.FILTERED and event.where is not where:
                assert reason in ({"flush": ["flush"], "own": ["own action"]}.get(event.kind, AT_THE_SEAL)), event
            event.where, event.reason, event.batch = where, reason, batch
            if event.moves_windows or event.reason == "own action":
                until = self._history.folded_until
                until[event.bucket] = max(event.at, until.get(event.bucket, event.at))
            if batch is not None:
                by_batch[batch].append(event)
        return by_batch

    def _one_open(self, rows: Sequence[Row]) -> None:
        keys = [row.key for row in rows if row.state == "OPEN"]
        assert len(keys) == len(set(keys)), "two batches of one key are open"

    def _sealed_once(self, row: Row, events: Sequence[Told], messages: Sequence[Any]) -> None:
        if row.state != "SEALED":
            assert not messages, f"{row} is told and not sealed"
            return
        state = row, [(event.id, event.where, event.reason) for event in events], messages
        former = self._history.batches.setdefault(row.id, state)
        assert former == state, "what was sealed has changed"
        if former is state:
            assert row.deliver_at <= self._history.now, f"{row} is sealed too early"
            self._fate(row, events, messages)

    def _fate(self, row: Row, events: Sequence[Told], messages: Sequence[Any]) -> None:
        """A batch is sealed with the messages, or for the reason, that its recipient's wishes give it."""
        book = self._history.book
        whose = (row.recipient, row.tenant)
        items = [event for event in events if event.where is Where.SEALED or event.reason in AT_THE_SEAL]
        left = [event for event in items if not book.is_muted(event.policy, *whose)]
        least, channels = MINIMUM.get(row.policy, 1), book.channels(row.policy, *whose)
        if not items:
            reason = "empty"
        elif len(items) < least:
            reason = "below minimum"
        elif not channels or not left:
            reason = "muted"
        else:
            reason = ""
        assert row.reason == reason, (row, reason)
        told = [] if reason else left
        if told and "null" in channels:
            self._history.tried.add(row.id)
        for event in items:
            assert event.reason == ("" if event in told else reason or "muted"), event
        ids = [event.id for event in told]
        assert sorted((channel, shown) for channel, _, shown in messages) == sorted(
            (channel, ids) for channel in (channels if told else ())
        )

    def _windows(self, rows: Sequence[Row]) -> None:
        """The batches of a key are those that the times of its folded events make, and nothing else does."""
        batches: dict[Key, list[tuple[Any, ...]]] = defaultdict(list)
        inside: dict[int | None, list[Told]] = defaultdict(list)
        by_key: dict[Key, list[Told]] = defaultdict(list)
        for event in self._history.told:
            inside[event.batch].append(event)
            if event.moves_windows:
                by_key[event.key].append(event)
        for row in rows:
            ids = tuple(event.id for event in sorted(inside[row.id], key=lambda event: event.order))
            batches[row.key].append((row.opened_at, row.closes_at, ids, row.state == "OPEN"))
        for key in (batches.keys() | by_key.keys()) - self._history.tainted:
            expected = [(each.first, each.end, each.ids, each.is_open) for each in windows(RULES, by_key[key])]
            found = batches[key]
            # A window that has ended is closed by the next event, or by the clock.
            assert _closed(found, self._history.now) == _closed(expected, self._history.now), key

    def nothing_is_due(self) -> None:
        """Whatever the clock has reached is sealed."""
        due = self._connection.execute(DUE, [self._history.now]).fetchall()
        assert not due, due

    def sent(self, claimed: Sequence[ClaimedDelivery], results: Sequence[SentDelivery]) -> None:
        """Each is sent, but for what is no longer wished, or has been read, where that is asked for once more."""
        assert sorted(result.delivery.id for result in results) == [delivery.id for delivery in claimed]
        for result in results:
            if result.state is DeliveryState.WAITING:
                assert self._history.book.is_quiet(result.delivery.recipient)
                continue
            assert result.error == self._objection(result.delivery), result
            expected = DeliveryState.SKIPPED if result.error else DeliveryState.ACCEPTED
            assert result.state is expected, result
            if not result.error:
                self._history.tried.add(result.delivery.batch_id)

    def lost(self, claimed: Sequence[ClaimedDelivery]) -> None:
        """Nobody knows what became of these."""
        self._history.tried.update(delivery.batch_id for delivery in claimed)
        self._history.lost.update(delivery.id for delivery in claimed)

    def _objection(self, delivery: ClaimedDelivery) -> str:
        book = self._history.book
        events = [event for event in self._history.told if event.batch == delivery.batch_id]
        if all(event.is_read for event in events if event.where is Where.SEALED):
            return "read"
        whose = delivery.policy, delivery.recipient, events[0].key[2]
        if not (book.has_own(delivery.recipient) or any(event.is_read for event in events)):
            return ""
        unread = [event for event in events if event.where is Where.SEALED and not event.is_read]
        if all(book.is_muted(event.policy, *whose[1:]) for event in unread):
            return "muted"
        return "" if delivery.channel in book.channels(*whose) else f"no longer wished by {delivery.channel}"

    def everything_arrived(self) -> None:
        """Every message was sent, or there is a reason why not; what was sent has arrived once, as it was sealed."""
        for id_, state, reason, channel, has_arrived in self._connection.execute(ARRIVED):
            if state == "SKIPPED":
                assert reason
                assert not has_arrived or id_ in self._history.lost
            else:
                assert (state, has_arrived) == ("ACCEPTED", channel == "inbox")


def _closed(batches: Sequence[tuple[Any, ...]], now: datetime) -> list[tuple[Any, ...]]:
    return [(first, end, ids, is_open and end > now) for first, end, ids, is_open in batches]


def conserved() -> None:
    """The product's own command says that the law holds, and where everything is."""
    found = conservation()
    assert found.holds, found.contradictions
