"""The delivery ledger: what is being sent, and what is known about what was sent."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from . import arrays
from .connection import Connection, Cursor, database_time
from .persons import ask_for_persons
from .round_trips import sent_together
from .rows import ClaimedDelivery, Doubt
from .standbys import ask_to_settle, has_standbys
from .statements import load
from .states import DeliveryState
from .suppressions import Key, ask_for_suppressed


@dataclass(frozen=True, slots=True)
class SentDelivery:
    """A claimed delivery after its call, or instead of one.

    One that is RETRYING waits for `delay`, one that is WAITING until `until` on the event clock; to one that is UNKNOWN
    the provider has `delay` to tell of it, and none where a person decides. `burnt` says whether the try counts,
    `in_doubt` that it may have gone out.
    """

    delivery: ClaimedDelivery
    state: DeliveryState
    provider_id: str = ""
    error: str = ""
    delay: timedelta = timedelta(0)
    until: datetime | None = None
    burnt: bool = True
    in_doubt: bool = False


class DeliveryClaim(NamedTuple):
    """Up to `limit` deliveries of a bucket behind `after`, while its lease has this epoch.

    `ripe`: the time has come of some that waited, so that they may be among them. `frequent_at`: recipients who had so
    many messages before are marked where the first of these went within the last hour; 0 to look at nobody.
    """

    bucket: int
    epoch: int
    channels: Sequence[str]
    limit: int
    after: int = 0
    ripe: bool = False
    frequent_at: int = 0


MOST_PROMOTED = 1000


def claim_deliveries(
    connection: Connection, owner: UUID, claims: Sequence[DeliveryClaim]
) -> list[list[ClaimedDelivery]]:
    """Claim deliveries, those of each claim in order of their ids, all in one transaction.

    A recipient's earlier ones hold back its later ones, also those that are not behind `after`. Claims nothing in a
    bucket whose lease is no longer held with its epoch.
    """
    with sent_together(connection):
        for claim in claims:
            if claim.ripe:
                promote_deliveries(connection, owner, claim.bucket, claim.epoch)
        answers = [
            connection.execute(load("claim_deliveries"), {"owner": owner, **claim._asdict()}) for claim in claims
        ]
    return [sorted(map(ClaimedDelivery._make, rows), key=attrgetter("id")) for rows in answers]


def promote_deliveries(connection: Connection, owner: UUID, bucket: int, epoch: int) -> None:
    """Make those of a bucket PENDING that waited, or that are to be tried again, and whose time has come."""
    parameters = {"bucket": bucket, "owner": owner, "epoch": epoch, "limit": MOST_PROMOTED}
    connection.execute(load("promote_waiting_deliveries"), parameters)
    connection.execute(load("promote_retrying_deliveries"), parameters)


def look_again(
    connection: Connection, bucket: int, claimed: Sequence[ClaimedDelivery], keys: Mapping[int, Key]
) -> list[Doubt]:
    """Return what there is to know of claimed deliveries just before they are sent, in two round trips.

    `keys` says under which key the address of a delivery would be suppressed, by its id.
    """
    ids = arrays.numbers(dict.fromkeys(delivery.batch_id for delivery in claimed))
    with sent_together(connection):
        clock = connection.execute(load("read_clock"))
        rows = connection.execute(load("look_again"), {"bucket": bucket, "ids": ids})
    batches = {id_: (tenant, has_items and not unread, unread) for id_, tenant, has_items, unread in rows}
    ((at,),) = clock
    recipients = list(dict.fromkeys(delivery.recipient for delivery in claimed))
    tenants = list(dict.fromkeys(tenant for tenant, _, _ in batches.values() if tenant))
    with sent_together(connection):
        people = ask_for_persons(connection, bucket, recipients, tenants)
        against = ask_for_suppressed(connection, keys.values())
    persons, suppressed = people(), against()
    found = []
    for delivery in claimed:
        tenant, is_read, unread = batches.get(delivery.batch_id, ("", False, ()))
        key = keys.get(delivery.id)
        reasons = suppressed.get(key, ()) if key else ()
        found.append(Doubt(delivery, tenant, persons.get(delivery.recipient), at, is_read, unread, reasons))
    return found


def digests_before(
    connection: Connection, bucket: int, claimed: Iterable[ClaimedDelivery], limit: int
) -> dict[tuple[str, str], dict[int, datetime]]:
    """Return when recipients got policies' last digests before these, by (policy, recipient) and the batch's id.

    At most `limit` deliveries of each are read.
    """
    first: dict[tuple[str, str], int] = {}
    for delivery in claimed:
        key = (delivery.policy, delivery.recipient)
        first[key] = min(delivery.id, first.get(key, delivery.id))
    parameters = {
        "bucket": bucket,
        "policies": arrays.texts(policy for policy, _ in first),
        "recipients": arrays.texts(recipient for _, recipient in first),
        "ids": arrays.numbers(first.values()),
        "limit": limit,
    }
    with sent_together(connection):
        rows = connection.execute(load("digests_before"), parameters)
    return _by_batch(rows)


def past_digests(
    connection: Connection, bucket: int, asked: Collection[tuple[str, str]], limit: int
) -> dict[tuple[str, str], list[datetime]]:
    """Return when recipients got, or are to get, policies' last digests, oldest first, by (policy, recipient).

    At most `limit` deliveries of each are read, and those of one batch count once.
    """
    parameters = {
        "bucket": bucket,
        "policies": arrays.texts(policy for policy, _ in asked),
        "recipients": arrays.texts(recipient for _, recipient in asked),
        "limit": limit,
    }
    with sent_together(connection):
        rows = connection.execute(load("past_digests"), parameters)
    return {key: sorted(of_batch.values()) for key, of_batch in _by_batch(rows).items()}


def _by_batch(rows: Iterable[tuple[str, str, int, datetime]]) -> dict[tuple[str, str], dict[int, datetime]]:
    times: dict[tuple[str, str], dict[int, datetime]] = defaultdict(dict)
    for policy, recipient, batch_id, at in rows:
        of_batch = times[policy, recipient]
        of_batch[batch_id] = max(at, of_batch.get(batch_id, at))
    return times


def recent_sends(
    connection: Connection, bucket: int, claimed: Sequence[ClaimedDelivery], channels: Sequence[str], limit: int
) -> dict[int, list[float]]:
    """Return, by claimed delivery, what its recipient was sent by these channels within the last hour before it.

    Each sending is the seconds until it is an hour ago, the oldest first. At most `limit` deliveries of each are read.
    """
    parameters = {
        "bucket": bucket,
        "ids": arrays.numbers(delivery.id for delivery in claimed),
        "recipients": arrays.texts(delivery.recipient for delivery in claimed),
        "channels": list(channels),
        "limit": limit,
    }
    with sent_together(connection):
        rows = connection.execute(load("recent_sends"), parameters)
    found: dict[int, list[float]] = defaultdict(list)
    for id_, sends, seconds_left in rows:
        found[id_] += [seconds_left] * sends
    return {id_: sorted(sends) for id_, sends in found.items()}


def finish_deliveries(
    connection: Connection, owner: UUID, sent: Mapping[tuple[int, int], Sequence[SentDelivery]]
) -> set[int]:
    """Record what is known about deliveries after their calls; return the ids that were still ours.

    They come by the bucket and the epoch under which they were claimed, and are written in one transaction. With that a
    digest that was refused goes on to the next channel that is in reserve for it.
    """
    with sent_together(connection):
        answers = [_send_finished(connection, bucket, owner, epoch, sent[bucket, epoch]) for bucket, epoch in sent]
        for (bucket, epoch), results in sent.items():
            if batch_ids := {done.delivery.batch_id for done in results if has_standbys(done.delivery)}:
                ask_to_settle(connection, bucket=bucket, owner=owner, epoch=epoch, batch_ids=batch_ids)
    return {row[0] for rows in answers for row in rows}


def _send_finished(
    connection: Connection, bucket: int, owner: UUID, epoch: int, sent: Sequence[SentDelivery]
) -> Cursor:
    parameters = {
        "bucket": bucket,
        "owner": owner,
        "epoch": epoch,
        "ids": arrays.numbers(s.delivery.id for s in sent),
        "tokens": arrays.numbers(s.delivery.claim_token for s in sent),
        "states": arrays.texts(s.state for s in sent),
        "provider_ids": arrays.texts(s.provider_id for s in sent),
        "errors": arrays.texts(s.error for s in sent),
        "delays": [s.delay.total_seconds() for s in sent],
        "until": arrays.times_or_null(s.until for s in sent),
        "unburnt": arrays.numbers(0 if s.burnt else 1 for s in sent),
        "copies": arrays.numbers(1 if s.in_doubt else 0 for s in sent),
    }
    return connection.execute(load("finish_deliveries"), parameters)


def release_unheld_deliveries(connection: Connection, owner: UUID, held: Collection[int]) -> list[int]:
    """Make deliveries pending that are claimed by the owner but not in its hands; call it between claims only."""
    before = database_time(connection)
    parameters = {"owner": owner, "held": list(held), "before": before}
    rows = connection.execute(load("release_unheld_deliveries"), parameters)
    return [row[0] for row in rows]
