"""The flusher thread: fold new events, seal what is due, hand deliveries to the senders and write down the answers."""

import logging
import queue
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg

from pgsupervise.metrics import recorder
from pgsupervise.partitions import batches, deliveries, events
from pgsupervise.partitions.connection import is_lost, is_passing
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.rows import ClaimedDelivery, DueBatch, NewDelivery
from pgsupervise.partitions.windows import WindowRule

from .context import WorkerContext
from .senders import Job, JobDone, Senders, storable

logger = logging.getLogger(__name__)
FOLD_CHUNK = 5000
SEAL_CHUNK = 200
SAFE_CHUNK = 200
RENDER_RETRY = timedelta(seconds=60)
RECONCILE_SECONDS = 10.0
UNKNOWN_SECONDS = 60.0
Rendered = tuple[DueBatch, list[NewDelivery]]
Due = DueBatch | batches.UnreadableBatch


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
                self._take_answers(self._context.config.poll.total_seconds())
        self._senders.stop()
        while self._in_flight:
            self._take_answers(0.0)
            with self._link.guard():
                self._write_answers()
            if not self._context.ownership.trusted():
                break  # reclaimed by others before we could tell
        self._link.close()
        self._project.close_connections()

    def step(self) -> bool:
        """Serve each bucket that has something to do once; return whether there was any."""
        self._take_answers(0.0)
        self._write_answers()
        if not self._context.ownership.trusted():
            return False
        self._reconcile_if_due()
        if not self._context.ownership.owned():
            return False
        probes = events.probe_notifications(
            self._link.connection, self._context.id, self._policies, self._senders.open_channels()
        )
        worked = False
        for probe in self._in_turn(probes):
            worked = self._serve(probe) or worked
            self._take_answers(0.0)
            self._write_answers()
        return worked

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
            flushed = self._flush(probe.bucket, epoch) if probe.pending or probe.due else False
            return self._send(probe.bucket, epoch) or flushed
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
        self._benched[bucket] = time.monotonic() + RENDER_RETRY.total_seconds()
        recorder.database_error("flusher")
        logger.error("bucket failed: left alone for a minute", exc_info=error, extra={"fields": {"bucket": bucket}})

    def _flush(self, bucket: int, epoch: int) -> bool:
        """Fold all that is pending before anything is sealed: so an owner that was away makes the same digests."""
        connection, owner = self._link.connection, self._context.id
        folded = FOLD_CHUNK
        while folded == FOLD_CHUNK:
            # Anew for each fold, so that it has reached what the former fold saw: see Fold._former_due.
            clock = events.read_clock(connection)
            new = events.fold_events(
                connection,
                bucket=bucket,
                owner=owner,
                epoch=epoch,
                rules=self._rule,
                policies=self._policies,
                clock=clock,
                limit=FOLD_CHUNK,
            )
            folded = len(new)
            for policy, count in Counter(event.policy for event in new).items():
                recorder.events_folded(policy, count)
            if not self._may_go_on(bucket):
                return True  # nothing is sealed before everything pending is folded
        while self._may_go_on(bucket):
            due = batches.due_batches(connection, bucket=bucket, policies=self._policies, clock=clock, limit=SEAL_CHUNK)
            if not due:
                break
            self._seal(bucket, epoch, due, clock + RENDER_RETRY)
        return True

    def _rule(self, policy: str) -> WindowRule:
        return self._project.policies[policy].rule

    def _seal(self, bucket: int, epoch: int, due: Sequence[Due], retry_at: datetime) -> None:
        rendered, failed = self._render(due)
        try:
            self._write_sealed(bucket, epoch, rendered)
        except psycopg.DataError:
            # A payload that PostgreSQL cannot hold must not keep the others of its chunk: find out whose it is.
            for one in rendered:
                try:
                    self._write_sealed(bucket, epoch, [one])
                except psycopg.DataError as error:
                    failed.append(_failed(one[0], error))
        if failed:
            batches.postpone_batches(
                self._link.connection,
                bucket=bucket,
                owner=self._context.id,
                epoch=epoch,
                errors=failed,
                until=retry_at,
            )

    def _render(self, due: Sequence[Due]) -> tuple[list[Rendered], list[tuple[int, str]]]:
        rendered: list[Rendered] = []
        failed: list[tuple[int, str]] = []
        for batch in due:
            if isinstance(batch, batches.UnreadableBatch):
                failed.append(_failed(batch, batch.error))
                continue
            try:
                rendered.append((batch, list(self._project.render(batch))))
            except Exception as error:  # a template's fault stops nobody else's digest
                failed.append(_failed(batch, error))
        return rendered, failed

    def _write_sealed(self, bucket: int, epoch: int, rendered: list[Rendered]) -> None:
        if rendered:
            owner = self._context.id
            batches.seal_batches(self._link.connection, bucket=bucket, owner=owner, epoch=epoch, rendered=rendered)
            for batch, _ in rendered:
                recorder.batch_sealed(batch.policy, len(batch.items))

    def _send(self, bucket: int, epoch: int) -> bool:
        """Claim deliveries and hand them out; a channel that must not send twice gets few at a time."""
        # Before the question, and until all is handed out: who is about to kill this process asks the other way round.
        self._context.sending += 1
        try:
            return self._may_send() and not self._in_flight[bucket] and self._hand_out(bucket, epoch)
        finally:
            self._context.sending -= 1

    def _hand_out(self, bucket: int, epoch: int) -> bool:
        specs = self._project.channels
        is_open = self._senders.open_channels()
        safe = [name for name in is_open if specs[name].resend_is_safe]
        others = [name for name in is_open if not specs[name].resend_is_safe]
        budget = 2 * self._senders.count - sum(self._in_flight.values())
        claimed = self._claim(bucket, epoch, safe, SAFE_CHUNK) + self._claim(bucket, epoch, others, budget)
        by_thread: dict[int, list[ClaimedDelivery]] = defaultdict(list)
        for delivery in claimed:
            # A recipient's deliveries stay on one thread, in order.
            by_thread[zlib.crc32(delivery.recipient.encode()) % self._senders.count].append(delivery)
        if claimed:
            self._last_sent = bucket
        for chosen in by_thread.values():
            self._submit(Job(bucket, epoch, chosen))
        return bool(claimed)

    def _claim(self, bucket: int, epoch: int, channels: list[str], limit: int) -> list[ClaimedDelivery]:
        if not channels or limit <= 0:
            return []
        return deliveries.claim_deliveries(
            self._link.connection, bucket=bucket, owner=self._context.id, epoch=epoch, channels=channels, limit=limit
        )

    def _submit(self, job: Job) -> None:
        # The bucket stays in use until the answer is written down, so that it is not let go before.
        self._context.ownership.hold(job.bucket)
        self._in_flight[job.bucket] += 1
        self._context.sending += 1
        self._held.update(delivery.id for delivery in job.deliveries)
        self._senders.submit(job)

    def _take_answers(self, timeout: float) -> None:
        try:
            answer = self._senders.results.get(timeout=timeout) if timeout else self._senders.results.get_nowait()
            while True:
                self._answers[answer.job.bucket, answer.job.epoch].append(answer)
                answer = self._senders.results.get_nowait()
        except queue.Empty:
            return

    def _write_answers(self) -> None:
        for bucket, epoch in list(self._answers):
            answers = self._answers[bucket, epoch]
            sent = [result for answer in answers for result in answer.sent]
            written = deliveries.finish_deliveries(
                self._link.connection, bucket=bucket, owner=self._context.id, epoch=epoch, sent=sent
            )
            recorder.stale_writes("delivery", len(sent) - len(written))
            del self._answers[bucket, epoch]
            self._held.difference_update(result.delivery.id for result in sent)
            for _ in answers:
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


def _failed(batch: Due, error: Exception) -> tuple[int, str]:
    reason = storable(f"{type(error).__name__}: {error}")
    recorder.render_failed(batch.policy)
    fields = {"batch": batch.id, "policy": batch.policy, "error": reason}
    logger.warning("digest could not be rendered", extra={"fields": fields})
    return batch.id, reason
