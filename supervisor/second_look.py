"""The second look at deliveries, just before they are sent: what was wished at the seal may no longer be."""

import logging
from collections import Counter
from collections.abc import Sequence

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery, Doubt
from pgsupervise.partitions.states import DeliveryState, Reason

from .project import Project
from .senders import storable

logger = logging.getLogger(__name__)


def no_longer_wanted(
    project: Project, connection: Connection, bucket: int, claimed: Sequence[ClaimedDelivery]
) -> list[SentDelivery]:
    """Return those of the claimed deliveries that are not to be sent, as SKIPPED, each with its reason.

    Reads nothing where none of them is doubtful.
    """
    doubtful = [delivery for delivery in claimed if delivery.is_doubtful]
    if not doubtful:
        return []
    skipped = [
        SentDelivery(doubt.delivery, DeliveryState.SKIPPED, error=storable(reason), burnt=False)
        for doubt in deliveries.look_again(connection, bucket, doubtful)
        if (reason := _objection(project, doubt))
    ]
    for channel, amount in Counter(sent.delivery.channel for sent in skipped).items():
        recorder.deliveries_skipped(channel, amount)
    return skipped


def _objection(project: Project, doubt: Doubt) -> str:
    if doubt.is_read:
        return Reason.READ
    try:
        return project.objection(doubt)
    except Exception:  # the project's own fault: what was wished at the seal stands
        logger.exception("wishes could not be read", extra={"fields": {"delivery": doubt.delivery.id}})
        return ""
