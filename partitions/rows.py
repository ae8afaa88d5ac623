"""Rows as they come out of the tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from .marks import ANCIENT
from .states import Reason, SuppressionReason


class ClaimedTask(NamedTuple):
    """A task that this worker has claimed; `claim_token` fences every write about it.

    The arguments are text as the table holds them: jsonb can hold what Python cannot decode, and that is to fail the
    one task, not the claim of a chunk.
    """

    id: int
    bucket: int
    claim_token: int
    name: str
    args_json: str
    kwargs_json: str
    attempt: int
    max_attempts: int
    crashes: int
    key: str
    priority: int = 0
    place: str = ""
    """Where the claim has put the row in its table, so that it is found again without an index."""


class PendingEvent(NamedTuple):
    """An event that has no batch yet; only what decides its batch.

    A tuple, like the other rows that come by the thousand: to make one costs a fifth of a dataclass.
    """

    id: int
    policy: str
    recipient: str
    tenant: str
    key: str
    occurred_at: datetime
    kind: str = "event"
    """A "flush" asks for its key's batch to be closed, a "recompute" for another end, which is in its data; an "own" is
    the recipient's action that is left out.
    """
    data_json: str | None = None
    """Only where the policy's window depends on it. That of a wish may name the one "batch" that it is about."""


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that still takes events; `gone` of its `item_count` were retracted or read.

    Each event moves its end to so far behind itself as `slides_by` says (zero: not at all), `slides_until` at most; the
    rule of now decides where that is None, in a batch that was opened before this was kept.
    """

    id: int
    policy: str
    recipient: str
    tenant: str
    key: str
    opened_at: datetime
    closes_at: datetime
    item_count: int
    last_at: datetime | None = None
    gone: int = 0
    slides_by: timedelta | None = None
    slides_until: datetime | None = None


class Preference(NamedTuple):
    """What a recipient or a tenant wishes, at one level; None where it says nothing."""

    tenant: str
    policy: str
    category: str
    muted: bool | None
    channels: Sequence[str] | None
    window: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is stored about a recipient, and what the tenants concerned prescribe by default."""

    recipient: str
    time_zone: str = ""
    locale: str = ""
    quiet_from: time | None = None
    quiet_until: time | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    preferences: Sequence[Preference] = ()
    tenant_preferences: Sequence[Preference] = ()


class Item(NamedTuple):
    """One event of a batch, as templates see it."""

    id: int
    occurred_at: datetime
    policy: str
    """A digest may hold several policies' events."""
    actor: str
    object: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DueBatch:
    """A batch whose time has come, with its items in order of (occurred_at, id).

    Where its channel takes nothing of them there are only their ids.
    """

    id: int
    bucket: int
    policy: str
    recipient: str
    tenant: str
    key: str
    opened_at: datetime
    closes_at: datetime
    deliver_at: datetime
    item_ids: Sequence[int]
    items: tuple[Item, ...] = ()
    person: Person | None = None
    """None where nothing is stored about the recipient."""


class NewDelivery(NamedTuple):
    """A rendered message that sealing a batch will insert."""

    channel: str
    payload: dict[str, Any]
    not_before: datetime | None = None
    """On the event clock; None for at once."""
    is_standby: bool = False
    """It is sent only if the channels before its own refuse."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Nothing of a batch is to be sent, for this reason; its events are filtered by it."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Reduced:
    """The messages of a batch without some of its events, which are filtered for this reason."""

    deliveries: Sequence[NewDelivery]
    left_out: Collection[int]
    reason: Reason


Rendering = Sequence[NewDelivery] | Withheld | Reduced
"""What becomes of a batch."""


class ClaimedDelivery(NamedTuple):
    """A delivery that this worker is sending."""

    id: int
    bucket: int
    claim_token: int
    batch_id: int
    policy: str
    recipient: str
    channel: str
    payload: dict[str, Any]
    attempt: int
    is_doubtful: bool = False
    """Its recipient or tenant has wishes, it has quiet hours, its address is suppressed, or some of its items have been
    read: look again before it is sent.
    """
    created_at: datetime = ANCIENT
    """When it was sealed, by the database's clock."""
    copies: int = 0
    """So often it was sent without its being known whether it went out."""
    is_frequent: bool = False
    """Its recipient may have had as many messages within the last hour as may be."""


class Doubt(NamedTuple):
    """A claimed delivery at the second look, just before it is sent."""

    delivery: ClaimedDelivery
    tenant: str
    person: Person | None
    at: datetime
    """The event clock."""
    is_read: bool
    """All its items have been read."""
    policies: Sequence[str] = ()
    """Those of its items that have not: of the delivery's own policy, and of those that go into its digests."""
    suppressed: Sequence[SuppressionReason] = ()
    """Why its address is on the suppression list, the oldest reason first."""


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker process that beats, anywhere in the cluster."""

    id: UUID
    supervisor: UUID
    slot: int
    partitions: int
    processes: int
    draining: bool
