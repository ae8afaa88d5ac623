"""The flusher thread: fold new events, seal what is due, hand deliveries to the senders and write down the answers."""

import logging
import queue
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries, events
from pgsupervise.partitions.connection import is_lost, is_passing
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.rows import ClaimedDelivery

from .context import WorkerContext
from .flushing import Flushing
from .idling import Idling
from .mark_book import MarkBook
from .second_look import no_longer_wanted
from .senders import Job, JobDone, Senders

logger = logging.getLogger(__name__)
SAFE_CHUNK = 200
BENCH_SECONDS = 60.0
LONGEST_WAIT = 0.5
RECONCILE_SECONDS = 10.0
UNKNOWN_SECONDS = 60.0


class Flusher(threading.Thread):
    """Serves the notifications of the worker's buckets. It waits for the senders' answers, never for HTTP."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__(name="flusher", daemon=True)
        self._context = context
        self._project = context.project
        self._policies = list(context.project.policies)
        self._link = context.link("flusher", self._lost)
        self._in_flight: Counter[int] = Counter()
        self._held: set[int] = set()
        self._answers: dict[tuple[int, int], list[JobDone]] = defaultdict(list)
        self._marks = MarkBook()
        self._unsafe_in_hand = 0
        self._left: list[events.NotificationProbe] = []
        self._look_at = 0.0
        self._idling = Idling(context.config.poll)
        self._last_sent = -1
        self._benched: dict[int, float] = {}
        self._reconcile_at = 0.0
        self._unknown_at = 0.0

    def run(self) -> None:
        """Serve until the worker drains; then wait for what is being sent and write it down."""
        self._senders = Senders(self._project, self._context.config.senders, self._may_send)
        while not self._context.draining.is_set():
            worked = False
            with self._link.guard():
                worked = self.step()
            if not worked:
                self._rest(self._idling.seconds())
        self._senders.stop()
        while self._in_flight:
            self._take_answers(0.0)
            with self._link.guard():
                self._write_answers()
            if not self._context.ownership.trusted():
                break  # reclaimed by others before we could tell
        self._link.close()
        self._project.close_connections()

    def _rest(self, seconds: float) -> None:
        """Wait for answers, and look up at times: the worker may be told to drain."""
        look_at = time.monotonic() + seconds
        while not (self._context.draining.is_set() or self._answers):
            left = look_at - time.monotonic()
            if left <= 0:
                return
            self._take_answers(min(left, LONGEST_WAIT))

    def step(self) -> bool:
        """Serve each bucket that has something to do once; return whether there was any."""
        self._take_answers(0.0)
        if self._unsafe_in_hand > self._senders.reach() // 2 and time.monotonic() < self._look_at:
            return False  # the senders have enough to do: one look for several answers, not one for each
        self._write_answers()
        if not self._context.ownership.trusted():
            return False
        self._reconcile_if_due()
        worked = False
        for probe in self._round():
            if self._unsafe_in_hand >= self._senders.reach() and probe.only_unsafe:
                self._left.append(probe)
                continue
            worked = self._serve(probe) or worked
            self._take_answers(0.0)
            self._write_answers()
        if worked:
            self._idling.worked()
        return worked

    def _round(self) -> list[events.NotificationProbe]:
        """Return what the last round left because the senders had enough to do; after a while, look again."""
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
        safe, unsafe = self._open_channels()
        marks = {bucket: self._marks.of(bucket, epoch) for bucket, epoch in owned.items()}
        return events.probe_notifications(
            self._link.connection, self._context.id, marks, policies=self._policies, safe=safe, unsafe=unsafe
        )

    def _open_channels(self) -> tuple[list[str], list[str]]:
        """Return the channels that are not paused: those that may send twice, and the others."""
        specs, names = self._project.channels, self._senders.open_channels()
        safe = [name for name in names if specs[name].resend_is_safe]
        return safe, [name for name in names if not specs[name].resend_is_safe]

    def _in_turn(self, probes: list[events.NotificationProbe]) -> list[events.NotificationProbe]:
        """Go on behind the bucket that was the last to get the senders: else the first ones would always have them."""
        return [p for p in probes if p.bucket > self._last_sent] + [p for p in probes if p.bucket <= self._last_sent]

    def _may_go_on(self, bucket: int) -> bool:
        ownership = self._context.ownership
        return ownership.trusted() and not ownership.is_leaving(bucket) and not self._context.draining.is_set()

    def _may_send(self) -> bool:
        context = self._context
        return context.ownership.trusted() and not context.draining.is_set() and not context.holding.is_set()

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
            sent = self._send(probe.bucket, epoch, safe=probe.safe or new, unsafe=probe.unsafe or new)
            return sent or probe.pending or probe.due
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
        flushing.run(due=probe.due, may_go_on=lambda: self._may_go_on(bucket))
        return flushing.made_deliveries

    def _send(self, bucket: int, epoch: int, *, safe: bool, unsafe: bool) -> bool:
        """Claim deliveries and hand them out; a channel that must not send twice gets few at a time."""
        # Before the question, and until all is handed out: who is about to kill this process asks the other way round.
        self._context.sending += 1
        try:
            if not self._may_send() or self._in_flight[bucket]:
                return False
            return self._hand_out(bucket, epoch, safe=safe, unsafe=unsafe)
        finally:
            self._context.sending -= 1

    def _hand_out(self, bucket: int, epoch: int, *, safe: bool, unsafe: bool) -> bool:
        marks, channels = self._marks.of(bucket, epoch), self._open_channels()
        budget = self._senders.reach() - self._unsafe_in_hand
        claimed: list[ClaimedDelivery] = []
        if safe:
            claimed += (found := self._claim(bucket, epoch, channels[0], SAFE_CHUNK, marks.safe))
            marks.safe = found[-1].id if found else marks.safe
        if unsafe:
            claimed += (found := self._claim(bucket, epoch, channels[1], budget, marks.unsafe))
            marks.unsafe = found[-1].id if found else marks.unsafe
        by_thread: dict[int, list[ClaimedDelivery]] = defaultdict(list)
        for delivery in self._still_wanted(bucket, epoch, claimed):
            # A recipient's deliveries stay on one thread, in order.
            by_thread[zlib.crc32(delivery.recipient.encode()) % self._senders.count].append(delivery)
        if claimed:
            self._last_sent = bucket
        for chosen in by_thread.values():
            self._submit(Job(bucket, epoch, chosen))
        return bool(claimed)

    def _still_wanted(self, bucket: int, epoch: int, claimed: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
        """Return what is to be sent of what is claimed; the rest is written down as skipped."""
        skipped = no_longer_wanted(self._project, self._link.connection, bucket, claimed)
        if not skipped:
            return claimed
        written = deliveries.finish_deliveries(self._link.connection, self._context.id, {(bucket, epoch): skipped})
        recorder.stale_writes("delivery", len(skipped) - len(written))
        gone = {result.delivery.id for result in skipped}
        return [delivery for delivery in claimed if delivery.id not in gone]

    def _claim(self, bucket: int, epoch: int, channels: list[str], limit: int, after: int) -> list[ClaimedDelivery]:
        if not channels or limit <= 0:
            return []
        return deliveries.claim_deliveries(
            self._link.connection,
            bucket=bucket,
            owner=self._context.id,
            epoch=epoch,
            channels=channels,
            limit=limit,
            after=after,
        )

    def _submit(self, job: Job) -> None:
        # The bucket stays in use until the answer is written down, so that it is not let go before.
        self._context.ownership.hold(job.bucket)
        self._in_flight[job.bucket] += 1
        self._context.sending += 1
        self._held.update(delivery.id for delivery in job.deliveries)
        self._unsafe_in_hand += self._unsafe(job)
        self._senders.submit(job)

    def _unsafe(self, job: Job) -> int:
        return sum(not self._project.channels[delivery.channel].resend_is_safe for delivery in job.deliveries)

    def _take_answers(self, timeout: float) -> None:
        try:
            answer = self._senders.results.get(timeout=timeout) if timeout else self._senders.results.get_nowait()
            while True:
                self._answers[answer.job.bucket, answer.job.epoch].append(answer)
                self._unsafe_in_hand -= self._unsafe(answer.job)
                answer = self._senders.results.get_nowait()
        except queue.Empty:
            return

    def _write_answers(self) -> None:
        """Write down all answers at once: what the senders do in a moment comes from many buckets."""
        if not self._answers:
            return
        sent = {
            lease: [result for answer in answers for result in answer.sent] for lease, answers in self._answers.items()
        }
        written = deliveries.finish_deliveries(self._link.connection, self._context.id, sent)
        recorder.stale_writes("delivery", sum(map(len, sent.values())) - len(written))
        for (bucket, _), answers in self._answers.items():
            self._forget(bucket, answers)
        self._answers.clear()

    def _forget(self, bucket: int, answers: Sequence[JobDone]) -> None:
        for answer in answers:
            self._held.difference_update(result.delivery.id for result in answer.sent)
            self._context.ownership.leave(bucket)
        self._in_flight[bucket] -= len(answers)
        self._context.sending -= len(answers)
        if not self._in_flight[bucket]:
            del self._in_flight[bucket]

    def _reconcile_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._reconcile_at:
            found = deliveries.release_unheld_deliveries(self._link.connection, self._context.id, self._held)
            self._reconcile_at = now + RECONCILE_SECONDS
            recorder.reclaimed("delivery", "lost_reply", len(found))
        if now >= self._unknown_at:
            self._unknown_at = now + UNKNOWN_SECONDS
            for policy, count in events.unknown_policies(self._link.connection, self._context.id, self._policies):
                fields = {"policy": policy, "pending": count}
                logger.warning("unknown policy: events left for newer code", extra={"fields": fields})
