"""What is not sent whatever is wished: messages to suppressed addresses, and to what is no address at all."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pgsupervise.metrics import recorder
from pgsupervise.partitions import suppressions
from pgsupervise.partitions.batches import deliveries_of
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery, Doubt, DueBatch, Rendering, Withheld
from pgsupervise.partitions.states import DeliveryState, Reason, SuppressionReason
from pgsupervise.partitions.suppressions import Found, Key, key_of

from .judging import storable
from .project import Project
from .waiting import Rendered

logger = logging.getLogger(__name__)
UNDELIVERABLE = "undeliverable"
"""Where a payload says why its address cannot be one."""

TAKES_NONE = frozenset({SuppressionReason.BOUNCE, SuppressionReason.DROP})
"""The address is dead; the other reasons are somebody's wish."""


def without_suppressed(project: Project, connection: Connection, rendered: Sequence[Rendered]) -> list[Rendered]:
    """Return the same batches; those of which every message would go to a suppressed address are withheld.

    Where there are other ways left all messages stay, and the look before sending skips those that are not to go: so
    each has a row that says why. Reads nothing where there is no mail.
    """
    keys = keys_in(project, rendered)
    found = suppressions.suppressed(connection, keys) if keys else {}
    return withholding(project, found, rendered)


def keys_in(project: Project, rendered: Sequence[Rendered]) -> set[Key]:
    """Return under which keys the addresses of what was rendered would be suppressed."""
    return {
        key
        for _, rendering in rendered
        for delivery in deliveries_of(rendering)
        if (key := _key(project, delivery.channel, delivery.payload))
    }


def withholding(project: Project, found: Found, rendered: Sequence[Rendered]) -> list[Rendered]:
    """Return the same batches; those of which every message would go to one of the found addresses are withheld."""
    if not found:
        return list(rendered)
    return [
        (batch, Withheld(Reason.SUPPRESSED) if _is_suppressed(project, found, batch, rendering) else rendering)
        for batch, rendering in rendered
    ]


def _is_suppressed(project: Project, found: Found, batch: DueBatch, rendering: Rendering) -> bool:
    messages = deliveries_of(rendering)
    keys = [_key(project, message.channel, message.payload) for message in messages]
    return bool(keys) and all(key and reason_against(project, batch.policy, found.get(key, ())) for key in keys)


def refused_unsent(claimed: Sequence[ClaimedDelivery]) -> list[SentDelivery]:
    """Return those of the claimed deliveries whose address cannot be one, as REFUSED."""
    return [_refused(one, str(one.payload[UNDELIVERABLE])) for one in claimed if UNDELIVERABLE in one.payload]


def suppressed(project: Project, doubt: Doubt) -> SentDelivery | None:
    """Return what becomes of a delivery to a suppressed address; None where it may go there.

    REFUSED where the address takes no mail, as its provider would: another channel may do better. SKIPPED where
    somebody has wished so.
    """
    reason = reason_against(project, doubt.delivery.policy, doubt.suppressed)
    if reason is None:
        return None
    words = f"{Reason.SUPPRESSED}: {reason}"
    if reason in TAKES_NONE:
        return _refused(doubt.delivery, words)
    return SentDelivery(doubt.delivery, DeliveryState.SKIPPED, error=words, burnt=False)


def _refused(delivery: ClaimedDelivery, reason: str) -> SentDelivery:
    recorder.deliveries_refused(delivery.channel, 1)
    fields = {"channel": delivery.channel, "delivery": delivery.id, "reason": storable(reason)}
    logger.warning("delivery refused without a call", extra={"fields": fields})
    return SentDelivery(delivery, DeliveryState.REFUSED, error=storable(reason), burnt=False)


def keys_of(project: Project, claimed: Sequence[ClaimedDelivery]) -> dict[int, Key]:
    """Return under which keys the addresses of deliveries would be suppressed, by the deliveries' ids."""
    keys = {delivery.id: _key(project, delivery.channel, delivery.payload) for delivery in claimed}
    return {id_: key for id_, key in keys.items() if key}


def reason_against(project: Project, policy: str, reasons: Sequence[SuppressionReason]) -> SuppressionReason | None:
    """Return the first reason that counts; who has unsubscribed still gets what is required."""
    spec = project.policies.get(policy)
    is_required = spec is not None and spec.required
    return next((one for one in reasons if not (is_required and one is SuppressionReason.UNSUBSCRIBE)), None)


def _key(project: Project, channel: str, payload: Mapping[str, Any]) -> Key | None:
    spec = project.channels.get(channel)
    if spec is None or not spec.address_kind or UNDELIVERABLE in payload:
        return None
    return key_of(spec.address_kind, str(payload.get("to", "")))
