"""The flusher thread: fold new events, seal what is due, and see to it that deliveries are sent."""

import logging
import socket
import threading
import time
from dataclasses import replace

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries, events, standbys
from pgsupervise.partitions.connection import is_lost, is_passing
from pgsupervise.partitions.errors import LeaseLostError

from .claiming import Wanted
from .context import WorkerContext
from .dispatcher import Dispatcher
from .flushing import Flushing
from .gate import gate_of
from .idling import Idling
from .mark_book import MarkBook
from .senders import Senders
from .settling import Settling

logger = logging.getLogger(__name__)
BENCH_SECONDS = 60.0
RECONCILE_SECONDS = 10.0
UNKNOWN_SECONDS = 60.0
TURN_SECONDS = 0.25
"""After so long of sealing in one bucket it is another one's turn."""


class Flusher(threading.Thread):
    """Serves the notifications of the worker's buckets. It waits for the senders' answers, never for HTTP."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__(name="flusher", daemon=True)
        self._context = context
        self._project = context.project
        self._policies = list(context.project.policies)
        self._link = context.link("flusher", self._lost)
        self._marks = MarkBook()
        self._settling = Settling(context)
        self._left: list[events.NotificationProbe] = []
        self._look_at = 0.0
        self._idling = Idling(context.config.poll)
        self._benched: dict[int, float] = {}
        self._reconcile_at = 0.0
        self._unknown_at = 0.0
        self._standbys_seen = 0

    def run(self) -> None:
        """Serve until the worker drains; then wait for what is being sent and write it down."""
        context = self._context
        whose = f"{context.name} on {socket.gethostname()}"
        gate = gate_of(self._project, whose, context.id, context.channels, context.ownership)
        senders = Senders(self._project, context.config.senders, lambda: self._dispatcher.may_send(), gate)
        self._dispatcher = Dispatcher(self._context, self._link, senders, self._marks, self._bench)
        while not self._context.draining.is_set():
            worked = False
            with self._link.guard():
                worked = self.step()
            if not worked:
                self._dispatcher.rest(time.monotonic() + self._idling.seconds())
        senders.stop()
        while not self._dispatcher.is_empty:
            with self._link.guard():
                self._dispatcher.write_answers(at_once=True)
            if not self._context.ownership.trusted():
                break  # reclaimed by others before we could tell
        with self._link.guard():
            gate.give_back(self._link)
        self._link.close()
        self._project.close_connections()

    def step(self) -> bool:
        """Serve each bucket that has something to do once; return whether there was any."""
        dispatcher = self._dispatcher
        dispatcher.write_answers()
        if dispatcher.is_busy and time.monotonic() < self._look_at and not any(probe.due for probe in self._left):
            return False  # the senders have enough to do: one look for several answers, not one for each
        if not self._context.ownership.trusted():
            return False
        self._reconcile_if_due()
        self._settling.run_if_due(self._link.connection)
        worked, claimed = False, dispatcher.claimed
        try:
            for probe in self._round():
                if dispatcher.is_full and probe.only_unsafe:
                    self._left.append(probe)
                    continue
                worked = self._serve(probe) or worked
                dispatcher.write_answers()
            dispatcher.dispatch()
        finally:
            dispatcher.give_up()
        # Not what was wanted: what stands behind another one of its recipient is not to be had however often one asks.
        worked = worked or dispatcher.claimed > claimed
        if worked:
            self._idling.worked()
        return worked

    def _round(self) -> list[events.NotificationProbe]:
        """Return what the last round left, since the senders had enough to do or a turn was over; later look again."""
        left, self._left = self._left, []
        now = time.monotonic()
        if left and now < self._look_at:
            return left
        self._look_at = now + self._context.config.poll.total_seconds()
        return self._in_turn(self._probe())

    def _probe(self) -> list[events.NotificationProbe]:
        owned = self._context.ownership.owned()
        if not owned:
            return []
        safe, unsafe = self._dispatcher.open_channels()
        marks = {bucket: self._marks.of(bucket, epoch) for bucket, epoch in owned.items()}
        return events.probe_notifications(
            self._link.connection, self._context.id, marks, policies=self._policies, safe=safe, unsafe=unsafe
        )

    def _in_turn(self, probes: list[events.NotificationProbe]) -> list[events.NotificationProbe]:
        """Go on behind the bucket that was the last to get the senders: else the first ones would always have them."""
        last = self._dispatcher.last_sent
        return [probe for probe in probes if probe.bucket > last] + [probe for probe in probes if probe.bucket <= last]

    def _may_go_on(self, bucket: int) -> bool:
        ownership = self._context.ownership
        return ownership.trusted() and not ownership.is_leaving(bucket) and not self._context.draining.is_set()

    def _lost(self, seconds: float) -> None:
        self._reconcile_at = 0.0  # the lost reply may have been that of a claim
        self._context.draining.wait(seconds)

    def _serve(self, probe: events.NotificationProbe) -> bool:
        if self._context.draining.is_set() or self._benched.get(probe.bucket, 0.0) > time.monotonic():
            return False
        epoch = self._context.ownership.enter(probe.bucket)
        if epoch is None:
            return False
        try:
            new = self._flush(probe, epoch) if probe.pending or probe.due else False
            wanted = Wanted(probe.bucket, epoch, probe.safe or new, probe.unsafe or new, probe.ripe)
            self._dispatcher.want(wanted)
            return probe.pending or probe.due
        except LeaseLostError as lost:
            recorder.stale_writes("flush", 1)
            logger.warning(
                "stale write dropped",
                extra={"fields": {"bucket": lost.bucket, "epoch": lost.epoch}},
            )
            return False
        except Exception as error:
            if is_lost(error) or is_passing(error):
                raise
            self._bench(probe.bucket, error)
            return False
        finally:
            self._context.ownership.leave(probe.bucket)

    def _bench(self, bucket: int, error: Exception) -> None:
        """Leave a bucket alone for a while: what cannot be read or written there must not stop the other buckets."""
        self._benched[bucket] = time.monotonic() + BENCH_SECONDS
        recorder.database_error("flusher")
        logger.error("bucket failed: left alone for a minute", exc_info=error, extra={"fields": {"bucket": bucket}})

    def _flush(self, probe: events.NotificationProbe, epoch: int) -> bool:
        """Fold and seal; return whether there is something new to send."""
        bucket, marks = probe.bucket, self._marks.of(probe.bucket, epoch)
        flushing = Flushing(
            self._project, self._link.connection, owner=self._context.id, bucket=bucket, epoch=epoch, marks=marks
        )
        flushing.run(due=probe.due, may_go_on=lambda: self._may_go_on(bucket), seconds=TURN_SECONDS)
        if flushing.is_unfinished:
            self._left.append(replace(probe, due=True))
        return flushing.made_deliveries

    def _reconcile_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._reconcile_at:
            held = self._dispatcher.held
            found = deliveries.release_unheld_deliveries(self._link.connection, self._context.id, held)
            self._reconcile_at = now + RECONCILE_SECONDS
            recorder.reclaimed("delivery", "lost_reply", len(found))
            self._standbys_seen = standbys.settle_left_standbys(
                self._link.connection, self._context.id, self._standbys_seen
            )
        if now >= self._unknown_at:
            self._unknown_at = now + UNKNOWN_SECONDS
            for policy, count in events.unknown_policies(self._link.connection, self._context.id, self._policies):
                fields = {"policy": policy, "pending": count}
                logger.warning("unknown policy: events left for newer code", extra={"fields": fields})
