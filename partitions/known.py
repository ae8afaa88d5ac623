"""What the tables hold about the keys and the recipients of events that are to be folded."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import starmap
from typing import TYPE_CHECKING

from . import arrays, persons
from .connection import Connection, Cursor
from .folding import Key, Known, key_of
from .round_trips import sent_together
from .rows import OpenBatch, PendingEvent, Person
from .statements import load

if TYPE_CHECKING:
    from .events import Folding


def read_known(
    connection: Connection, bucket: int, events: Sequence[PendingEvent], folding: "Folding", clock: datetime
) -> tuple[Known, list[int]]:
    """Return what the tables hold about the events' keys, and as many new ids in the same round trip.

    One more is made where there is something of the future.
    """
    hosts = folding.hosts
    keys = list(dict.fromkeys(key_of(event, hosts) for event in events))
    asking = [key for key in keys if key[0] in folding.quiet] if folding.quiet else []
    with sent_together(connection):
        rows = connection.execute(load("open_batches"), _columns_of_keys(bucket, keys))
        # Most keys have no open batch, or one that lives on. Ids that turn out not to be needed are skipped for ever.
        ids = next_ids(connection, len(keys))
        last = connection.execute(load("last_of_keys"), _columns_of_keys(bucket, asking)) if asking else None
        people = _ask_for_persons(connection, bucket, events) if folding.personal else None
    last_at = {(policy, whose, tenant, key): at for policy, whose, tenant, key, at in last} if last else {}
    open_batches = list(starmap(OpenBatch, rows.fetchall()))
    numbers = [id_ for (id_,) in ids.fetchall()]
    former_due = _former_due(connection, bucket, events, open_batches, folding, clock)
    return Known(open_batches, people() if people else {}, last_at, former_due), numbers


def _former_due(
    connection: Connection,
    bucket: int,
    events: Sequence[PendingEvent],
    open_batches: Sequence[OpenBatch],
    folding: "Folding",
    clock: datetime,
) -> Mapping[Key, datetime]:
    """Return when keys' closed batches are due that the next ones must not overtake by being closed early.

    Asks for nothing but keys with something of the future, of which mostly there are none: a batch that is closed and
    not yet due was closed by an event that occurred no sooner than it is.
    """
    keys = {key_of(event, folding.hosts) for event in events if event.occurred_at > clock}
    for batch in open_batches:
        if batch.opened_at > clock:
            keys.add((batch.policy, batch.recipient, batch.tenant, batch.key))
    if not keys:
        return {}
    with sent_together(connection):
        rows = connection.execute(load("former_due"), _columns_of_keys(bucket, list(keys)))
    return {(policy, recipient, tenant, key): due for policy, recipient, tenant, key, due in rows}


def _ask_for_persons(
    connection: Connection, bucket: int, events: Sequence[PendingEvent]
) -> Callable[[], Mapping[str, Person]]:
    recipients = list(dict.fromkeys(event.recipient for event in events))
    tenants = list(dict.fromkeys(event.tenant for event in events if event.tenant))
    return persons.ask_for_persons(connection, bucket, recipients, tenants)


def _columns_of_keys(bucket: int, keys: Sequence[Key]) -> dict[str, object]:
    policies, recipients, tenants, wanted = map(arrays.texts, zip(*keys, strict=True))
    return {"bucket": bucket, "policies": policies, "recipients": recipients, "tenants": tenants, "keys": wanted}


def next_ids(connection: Connection, count: int) -> Cursor:
    """Ask for so many new ids of batches."""
    return connection.execute(load("next_batch_ids"), {"count": count})
