"""What providers tell of messages that they took, and what becomes of those of which nobody has told in time."""

import logging
import time
from collections import Counter

from pgsupervise.metrics import recorder
from pgsupervise.partitions import provider_events
from pgsupervise.partitions.connection import Connection, is_lost, is_passing
from pgsupervise.partitions.states import DeliveryState

from .context import WorkerContext
from .judging import MOST_ATTEMPTS
from .project import OnUnknown

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
REST_SECONDS = 60.0
CHUNK = 1000


class Settling:
    """Takes note of providers' events in the worker's buckets; used by the flusher's thread alone."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._resend = context.project.unknown_as(OnUnknown.RESEND)
        self._reconcile = context.project.unknown_as(OnUnknown.RECONCILE)
        self._look_at = 0.0

    def run_if_due(self, connection: Connection) -> None:
        """Serve each of the worker's buckets in which there is something to take note of or to settle."""
        if time.monotonic() < self._look_at or not self._context.ownership.owned():
            return
        full = failed = False
        for bucket in provider_events.probe_provider(connection, self._context.id):
            epoch = self._context.ownership.enter(bucket)
            if epoch is None:
                continue
            try:
                full = self.serve(connection, bucket, epoch) or full
            except Exception as error:
                if is_lost(error) or is_passing(error):
                    raise
                failed = True  # what cannot be read in one bucket must not stop the others
                recorder.database_error("flusher")
                logger.exception("provider's events failed", extra={"fields": {"bucket": bucket}})
            finally:
                self._context.ownership.leave(bucket)
        self._look_at = time.monotonic() + (REST_SECONDS if failed else 0.0 if full else LOOK_SECONDS)

    def serve(self, connection: Connection, bucket: int, epoch: int) -> bool:
        """Take note of a bucket's events, then settle what is still unknown; return whether there may be more."""
        owner = self._context.id
        events, proven = provider_events.take_note(connection, bucket=bucket, owner=owner, epoch=epoch, limit=CHUNK)
        _tell_proven(events, proven)
        if len(events) == CHUNK:
            return True  # nothing is settled before all that was told of it is heard
        settled = provider_events.settle_unknown(
            connection,
            bucket=bucket,
            owner=owner,
            epoch=epoch,
            resend_policies=self._resend,
            reconcile_policies=self._reconcile,
            most_attempts=MOST_ATTEMPTS,
            limit=CHUNK,
        )
        for one in settled:
            recorder.unknown_settled(one.policy, "resent" if one.goes_again else "held")
            how = "sent again" if one.goes_again else "held for a person"
            fields = {"delivery": one.id, "policy": one.policy, "bucket": bucket}
            logger.warning("unknown delivery: %s", how, extra={"fields": fields})
        return len(settled) == CHUNK


def _tell_proven(events: list[provider_events.ToldEvent], proven: list[provider_events.Proven]) -> None:
    for kind, count in Counter(event.kind for event in events).items():
        recorder.provider_events(kind, count)
    for one in proven:
        if one.was == DeliveryState.UNKNOWN:
            recorder.unknown_settled(one.policy, "proven")
        if one.new_duplicates > 0:
            recorder.duplicates(one.policy, one.new_duplicates)
            fields = {"delivery": one.id, "policy": one.policy, "messages_too_many": one.new_duplicates}
            logger.warning("duplicate: the provider took more than one attempt", extra={"fields": fields})
