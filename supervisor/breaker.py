"""The duplicate breaker: how often one message, and how many messages one recipient, may be sent at most.

A message of unknown fate that was sent as often as may be is held as UNKNOWN, for a person or the provider's word. What
is too much for a recipient's hour waits, as RETRYING with the reason, until the hour allows it: nothing is lost. Only
calls that may be seen twice count; the rows of an inbox do not.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState

from .project import Project

logger = logging.getLogger(__name__)
SPARE = 50
"""Rows of other channels, or that were refused, that may lie among the messages of the hour."""


def copies_are_used_up(project: Project, delivery: ClaimedDelivery) -> bool:
    """Return whether a message that has just been sent, with its fate unknown, is not to be sent again."""
    if project.channels[delivery.channel].resend_is_safe:
        return False
    return delivery.copies + 1 >= project.most_copies


def too_many_for_the_hour(
    project: Project, connection: Connection, bucket: int, claimed: Sequence[ClaimedDelivery]
) -> list[SentDelivery]:
    """Return those of the claimed deliveries that are not to be sent yet, as RETRYING, each with its reason.

    Reads nothing where no recipient has had that many.
    """
    frequent = [delivery for delivery in claimed if delivery.is_frequent]
    if not frequent or not project.most_per_hour:
        return []
    channels = [name for name, spec in project.channels.items() if not spec.resend_is_safe]
    sends = deliveries.recent_sends(connection, bucket, frequent, channels, 2 * project.most_per_hour + SPARE)
    waits: dict[str, float] = {}
    found = []
    for delivery in frequent:
        # What is behind one that is held was claimed with it, and that one counts there as if it were being sent.
        wait = waits.get(delivery.recipient) or _seconds_to_wait(project, sends.get(delivery.id, ()))
        if wait:
            waits[delivery.recipient] = wait
            found.append(_held(project, delivery, wait))
    return found


def _seconds_to_wait(project: Project, sends: Sequence[float]) -> float:
    """Return how long until fewer than the most were sent within an hour."""
    surplus = len(sends) - project.most_per_hour
    return sends[surplus] if surplus >= 0 else 0.0


def _held(project: Project, delivery: ClaimedDelivery, seconds: float) -> SentDelivery:
    recorder.deliveries_held(delivery.channel, "hour")
    fields = {"channel": delivery.channel, "delivery": delivery.id, "seconds": round(seconds)}
    logger.warning("recipient has had enough for an hour", extra={"fields": fields})
    words = f"held: the recipient had {project.most_per_hour} messages within an hour (MOST_PER_HOUR)"
    return SentDelivery(delivery, DeliveryState.RETRYING, error=words, delay=timedelta(seconds=seconds), burnt=False)
