"""Sealing: a batch whose time has come becomes deliveries, in one transaction."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from . import arrays
from .connection import Connection, Cursor
from .errors import LeaseLostError
from .held import HELD, who_is_held
from .leases import ask_for_lease, hold_lease
from .marks import START, Place
from .persons import ask_for_persons
from .round_trips import sent_together
from .rows import DueBatch, Item, NewDelivery, Person, Reduced, Rendering, Withheld
from .statements import load
from .states import Reason

_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# What is read of the items at once is bounded; a batch above the last bound would only get its worker killed.
MOST_ITEMS_AT_ONCE = 5_000
MOST_BYTES_AT_ONCE = 16 * 2**20
MOST_BYTES_A_BATCH = 64 * 2**20


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """A batch whose time has come, but whose items cannot be had; it stops no other."""

    id: int
    policy: str
    tenant: str
    deliver_at: datetime
    error: Exception


class Due(NamedTuple):
    """Batches whose time has come, oldest first; whether there may be more of them behind these."""

    batches: list[DueBatch | UnreadableBatch]
    more: bool


def due_batches(
    connection: Connection,
    *,
    bucket: int,
    policies: Sequence[str],
    clock: datetime,
    limit: int = 1000,
    bare: Collection[str] = (),
    after: Place = START,
) -> Due:
    """Return batches of a bucket behind `after` whose time has come at `clock`: oldest first, items in order.

    Those of `bare` policies have the ids of their items only. Fewer than `limit` when the items are many or large.
    """
    front = {"bucket": bucket, "policies": list(policies), "clock": clock, "bare": list(bare)}
    with sent_together(connection):
        due = _ask_for_due(connection, front, after, limit)
    found = _read(connection, front, due)
    return Due(found, len(found) < due.rowcount or due.rowcount == limit)


def due_at(
    connection: Connection, front: Mapping[str, Any], places: Iterable[Place]
) -> list[DueBatch | UnreadableBatch]:
    """Return the first ones of the due batches that lie at these places, as far as they fit into memory at once.

    `front` are the arguments of `due_batches` that are the same for all.
    """
    with sent_together(connection):
        due = [_ask_for_due(connection, front, (time, id_ - 1), 1) for time, id_ in places]
    return _read(connection, front, chain.from_iterable(due))


def _ask_for_due(connection: Connection, front: Mapping[str, Any], after: Place, limit: int) -> Cursor:
    place = {"after_time": after[0], "after_id": after[1]}
    return connection.execute(load("due_batches"), {**front, **place, "limit": limit})


def _read(
    connection: Connection, front: Mapping[str, Any], due: Iterable[Sequence[Any]]
) -> list[DueBatch | UnreadableBatch]:
    bucket, bare = front["bucket"], front["bare"]
    weighed = list(_what_fits(map(_Weighed._make, due)))
    wanted = [batch.id for batch in weighed if batch.policy not in bare and batch.bytes <= MOST_BYTES_A_BATCH]
    rows, people = _items_and_persons(connection, bucket, wanted, [batch for batch in weighed if batch.is_known])
    return [_due_batch(bucket, batch, rows.pop(batch.id, []), people.get(batch.recipient)) for batch in weighed]


def _items_and_persons(
    connection: Connection, bucket: int, wanted: Sequence[int], known: Sequence["_Weighed"]
) -> tuple[dict[int, list["_ItemRow"]], Mapping[str, Person]]:
    """Return the items of batches, and who the recipients of others are, in one round trip, or none."""
    rows: dict[int, list[_ItemRow]] = defaultdict(list)
    if not (wanted or known):
        return rows, {}
    items: Iterable[Sequence[Any]] = ()
    with sent_together(connection):
        if wanted:
            items = connection.execute(load("batch_items"), {"bucket": bucket, "ids": arrays.numbers(wanted)})
        people = _ask_for_persons(connection, bucket, known) if known else None
    for batch_id, *item in items:
        rows[batch_id].append(_ItemRow._make(item))
    return rows, people() if people else {}


def _ask_for_persons(
    connection: Connection, bucket: int, known: Sequence["_Weighed"]
) -> Callable[[], Mapping[str, Person]]:
    recipients = list(dict.fromkeys(batch.recipient for batch in known))
    tenants = list(dict.fromkeys(batch.tenant for batch in known if batch.tenant))
    return ask_for_persons(connection, bucket, recipients, tenants)


class _Weighed(NamedTuple):
    id: int
    policy: str
    recipient: str
    tenant: str
    key: str
    opened_at: datetime
    closes_at: datetime
    deliver_at: datetime
    ids: list[int] | None
    bytes: int
    is_known: bool
    """Something is stored about the recipient or the tenant."""

    @property
    def amount(self) -> int:
        return len(self.ids or ())


class _ItemRow(NamedTuple):
    id: int
    occurred_at: datetime
    policy: str
    actor: str
    object: str
    data: str


def _what_fits(batches: Iterable[_Weighed]) -> Iterator[_Weighed]:
    """Yield the first batches up to what may be in memory at once: one, however large it is, and then some."""
    items = size = 0
    for number, batch in enumerate(batches):
        items += batch.amount
        size += batch.bytes if batch.bytes <= MOST_BYTES_A_BATCH else 0  # those items are not read
        if number and (items > MOST_ITEMS_AT_ONCE or size > MOST_BYTES_AT_ONCE):
            return
        yield batch


def _due_batch(bucket: int, batch: _Weighed, rows: list[_ItemRow], person: Person | None) -> DueBatch | UnreadableBatch:
    if batch.bytes > MOST_BYTES_A_BATCH:
        error = f"{batch.amount} items of {batch.bytes} bytes, of which a batch may have {MOST_BYTES_A_BATCH}"
        return UnreadableBatch(batch.id, batch.policy, batch.tenant, batch.deliver_at, ValueError(error))
    try:
        items = tuple(Item(*row[:-1], data=json.loads(row.data)) for row in rows)
    except (ValueError, RecursionError) as error:  # numbers too long or nesting too deep for Python, not for PostgreSQL
        return UnreadableBatch(batch.id, batch.policy, batch.tenant, batch.deliver_at, error)
    return DueBatch(batch.id, bucket, *batch[1:8], batch.ids or (), items, person)


def seal_batches(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    rendered: Sequence[tuple[DueBatch, Rendering]],
    without_call: Collection[str] = (),
) -> int:
    """Seal batches and insert their deliveries in one transaction and round trip; return how many were sealed.

    Deliveries by the channels `without_call` are accepted with that. Events of what is withheld, or left out, are
    filtered. Raises LeaseLostError, having written nothing, when the bucket is no longer held with this epoch, and
    HeldError where others hold one of the batches or have taken out an item.
    """
    new = [(batch.id, delivery) for batch, rendering in rendered for delivery in deliveries_of(rendering)]
    lease: dict[str, Any] = {"bucket": bucket, "owner": owner, "epoch": epoch}
    ids = arrays.numbers(batch.id for batch, _ in rendered)
    item_ids = [id_ for batch, _ in rendered for id_ in batch.item_ids]
    try:
        with sent_together(connection):
            held = ask_for_lease(connection, bucket, owner, epoch)
            reasons = arrays.texts(_reason(rendering) for _, rendering in rendered)
            sealed = connection.execute(load("seal_batches"), {**lease, "ids": ids, "reasons": reasons})
            checked = {"bucket": bucket, "ids": ids, "item_ids": arrays.numbers(item_ids)}
            connection.execute(load("sealed_as_rendered"), checked)
            connection.execute(load("insert_deliveries"), _columns_of_deliveries(bucket, new, without_call))
            if filtered := [event for batch, rendering in rendered for event in filtered_of(batch, rendering)]:
                _withhold(connection, lease, filtered)
    except HELD:
        raise who_is_held(connection, **lease, batches=(batch.id for batch, _ in rendered), rendered=item_ids) from None
    if not held():
        raise LeaseLostError(bucket, epoch)
    return sealed.rowcount


def _columns_of_deliveries(
    bucket: int, new: Sequence[tuple[int, NewDelivery]], without_call: Collection[str]
) -> dict[str, object]:
    return {
        "bucket": bucket,
        "batch_ids": arrays.numbers(id_ for id_, _ in new),
        "channels": arrays.texts(delivery.channel for _, delivery in new),
        "payloads": arrays.texts(_as_json(delivery.payload) for _, delivery in new),
        "not_before": arrays.times_or_null(delivery.not_before for _, delivery in new),
        "standbys": arrays.texts("t" if delivery.is_standby else "f" for _, delivery in new),
        "without_call": list(without_call),
    }


def deliveries_of(rendering: Rendering) -> Sequence[NewDelivery]:
    """Return what is to be sent of a batch."""
    match rendering:
        case Withheld():
            return ()
        case Reduced(deliveries):
            return deliveries
    return rendering


def _withhold(connection: Connection, lease: Mapping[str, object], filtered: Sequence[tuple[int, Reason]]) -> None:
    columns = {
        "ids": arrays.numbers(id_ for id_, _ in filtered),
        "reasons": arrays.texts(reason for _, reason in filtered),
    }
    connection.execute(load("withhold_events"), {**lease, **columns})


def _reason(rendering: Rendering) -> str:
    return rendering.reason if isinstance(rendering, Withheld) else ""


def filtered_of(batch: DueBatch, rendering: Rendering) -> list[tuple[int, Reason]]:
    """Return which events of a batch are in none of its messages, each with its reason."""
    match rendering:
        case Withheld(reason):
            return [(event, reason) for event in batch.item_ids]
        case Reduced(_, left_out, reason):
            return [(event, reason) for event in left_out]
    return []


def postpone_batches(
    connection: Connection, *, bucket: int, owner: UUID, epoch: int, errors: Sequence[tuple[int, str]], until: datetime
) -> None:
    """Keep batches that could not be rendered, each with its error, until the event clock reaches `until`.

    Raises LeaseLostError, having written nothing, when the bucket is no longer held with this epoch.
    """
    with sent_together(connection):
        if not hold_lease(connection, bucket, owner, epoch):
            raise LeaseLostError(bucket, epoch)
        connection.execute(
            load("postpone_batches"),
            {
                "bucket": bucket,
                "ids": [id_ for id_, _ in errors],
                "errors": [text for _, text in errors],
                "until": until,
            },
        )
