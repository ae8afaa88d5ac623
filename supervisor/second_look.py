"""The second look at deliveries, just before they are sent: what was so at the seal may no longer be.

Since then its recipient may have muted or read it, and a retry, a pause of the channel or a worker's absence may have
put it off into the night, or so near to the next one that the cap would be exceeded.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.caps import Cap
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery, Doubt
from pgsupervise.partitions.states import DeliveryState, Reason

from .judging import storable
from .project import Project
from .suppressing import keys_of, refused_unsent, suppressed
from .waiting import allowed_at, most_of

logger = logging.getLogger(__name__)
Past = dict[tuple[str, str], dict[int, datetime]]


def not_now(
    project: Project, connection: Connection, bucket: int, claimed: Sequence[ClaimedDelivery]
) -> list[SentDelivery]:
    """Return those of the claimed deliveries that are not to be sent now.

    SKIPPED is what is no longer wished, REFUSED what can go to no such address, each with its reason; WAITING what is
    too early by the quiet hours and the cap, as they are now. Reads nothing where none is doubtful and no policy has a
    cap.
    """
    refused = refused_unsent(claimed)
    gone = {sent.delivery.id for sent in refused}
    caps = {name: spec.cap for name, spec in project.policies.items() if spec.cap is not None}
    doubtful = [one for one in claimed if (one.is_doubtful or one.policy in caps) and one.id not in gone]
    if not doubtful:
        return refused
    doubts = deliveries.look_again(connection, bucket, doubtful, keys_of(project, doubtful))
    past: Past = {}
    if capped := [delivery for delivery in doubtful if delivery.policy in caps]:
        before = deliveries.digests_before(connection, bucket, capped, most_of(project, caps.values()))
        # They went before now, even where the event clock is behind the real one.
        past = {key: {batch: min(at, doubts[0].at) for batch, at in times.items()} for key, times in before.items()}
    found = []
    for doubt in doubts:
        if reason := _objection(project, doubt):
            found.append(SentDelivery(doubt.delivery, DeliveryState.SKIPPED, error=storable(reason), burnt=False))
        elif ended := suppressed(project, doubt):
            found.append(ended)
        elif (until := _allowed_at(project, caps, past, doubt)) > doubt.at:
            found.append(SentDelivery(doubt.delivery, DeliveryState.WAITING, until=until, burnt=False))
    skipped = Counter(sent.delivery.channel for sent in found if sent.state is DeliveryState.SKIPPED)
    for channel, amount in skipped.items():
        recorder.deliveries_skipped(channel, amount)
    return [*refused, *found]


def _allowed_at(project: Project, caps: Mapping[str, Cap], past: Past, doubt: Doubt) -> datetime:
    """Return when a delivery may go, and take note of it for those behind."""
    delivery = doubt.delivery
    of_batch = past.setdefault((delivery.policy, delivery.recipient), {})
    others = sorted(at for batch, at in of_batch.items() if batch != delivery.batch_id)
    at = allowed_at(doubt.at, doubt.person, project.time_zone, caps.get(delivery.policy), others)
    of_batch[delivery.batch_id] = at
    return at


def rest_of(claimed: Sequence[ClaimedDelivery], left_out: Iterable[SentDelivery]) -> list[ClaimedDelivery]:
    """Return the claimed deliveries but for those that are left out."""
    gone = {result.delivery.id for result in left_out}
    return [delivery for delivery in claimed if delivery.id not in gone]


def _objection(project: Project, doubt: Doubt) -> str:
    if doubt.is_read:
        return Reason.READ
    try:
        return project.objection(doubt)
    except Exception:  # the project's own fault: what was wished at the seal stands
        logger.exception("wishes could not be read", extra={"fields": {"delivery": doubt.delivery.id}})
        return ""
