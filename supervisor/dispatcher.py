"""Deliveries between the tables and the senders: claimed for many buckets at once, answers written down together.

A commit takes longer than a call on many a disk, so what belongs to several buckets shares one.
"""

import queue
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.connection import is_lost, is_passing
from pgsupervise.partitions.deliveries import DeliveryClaim
from pgsupervise.partitions.rows import ClaimedDelivery

from .breaker import too_many_for_the_hour
from .claiming import Planned, Planning, Wanted
from .context import WorkerContext
from .link import Link
from .mark_book import MarkBook
from .second_look import not_now, rest_of
from .senders import Job, JobDone, Senders
from .turns import Turns

GROUP = 8
"""So many buckets' deliveries are claimed together."""
WRITE_SECONDS = 0.02
"""How long an answer waits for others, so that they are written down together, while the senders have work."""
LONGEST_WAIT = 0.5

Bench = Callable[[int, Exception], None]
"""Leaves a bucket alone whose rows cannot be read."""


class Dispatcher:
    """Used by the flusher's thread alone."""

    def __init__(self, context: WorkerContext, link: Link, senders: Senders, marks: MarkBook, bench: Bench) -> None:
        self._context = context
        self._bench = bench
        self._channels = context.project.channels
        self._link = link
        self._senders = senders
        self._gate = senders.gate
        self._planning = Planning(context.project, marks, self._gate)
        self._marks = marks
        self._turns = Turns(context.id, link)
        self._wanted: list[Wanted] = []
        self._in_flight: Counter[int] = Counter()
        self._answers: dict[tuple[int, int], list[JobDone]] = defaultdict(list)
        self._answered_at = 0.0
        self._unsafe_in_hand = Fraction(0)
        """In calls: of messages that go many by one, each is a part of one."""
        self.held: set[int] = set()
        """The deliveries that are claimed and not yet written down."""
        self.last_sent = -1
        """The bucket that was the last to get the senders."""
        self.claimed = 0
        """How many deliveries have been claimed so far."""

    @property
    def is_full(self) -> bool:
        """Whether the senders have as much in hand as they should, of what must not be sent twice."""
        return self._unsafe_in_hand >= self._senders.reach()

    @property
    def is_busy(self) -> bool:
        """Whether the senders have enough to do until half of it is done: then it is filled up at once."""
        return self._unsafe_in_hand > self._senders.reach() // 2

    @property
    def is_empty(self) -> bool:
        """Whether nothing is with the senders, and every answer is written down."""
        return not self._in_flight

    def may_send(self) -> bool:
        """Return whether a message may be begun now."""
        context = self._context
        return context.ownership.trusted() and not context.draining.is_set() and not context.holding.is_set()

    def open_channels(self) -> tuple[list[str], list[str]]:
        """Return the channels by which something may be claimed: those that may send twice, and the others."""
        names = self._gate.open_channels()
        safe = [name for name in names if self._channels[name].resend_is_safe]
        return safe, [name for name in names if not self._channels[name].resend_is_safe]

    def want(self, wanted: Wanted) -> None:
        """Claim a bucket's deliveries soon, together with others', unless it has some with the senders."""
        if not (wanted.safe or wanted.unsafe or wanted.ripe) or self._in_flight[wanted.bucket]:
            return
        self._context.ownership.hold(wanted.bucket)
        self._wanted.append(wanted)
        if len(self._wanted) >= GROUP:
            self.dispatch()

    def dispatch(self) -> None:
        """Claim what is wanted in one transaction, and hand it to the senders."""
        wanted = self._wanted
        # Before the question, and until all is handed out: who is about to kill this process asks the other way round.
        self._context.sending += 1
        try:
            if wanted and self.may_send():
                self._claim(wanted)
        finally:
            self._context.sending -= 1
            self.give_up()

    def give_up(self) -> None:
        """Claim nothing of what is wanted."""
        for one in self._wanted:
            self._context.ownership.leave(one.bucket)
        self._wanted = []

    def _claim(self, wanted: Sequence[Wanted]) -> None:
        offer = self._gate.offer(self._link.connection)
        budget = max(Fraction(0), self._senders.reach() - self._unsafe_in_hand)
        planned = self._planning.plan(wanted, offer, budget)
        taken: Counter[str] = Counter()
        full: list[tuple[Planned, list[ClaimedDelivery]]] = []
        for plan, claimed in zip(planned, self._claimed([plan.claim for plan in planned]), strict=True):
            self._planning.move_mark(plan, claimed)
            self._take_up(plan.claim, claimed, taken)
            if len(claimed) == plan.claim.limit:
                full.append((plan, claimed))
        for plan, claimed in full:  # for the tenants that these claims have left out
            claims = self._planning.beside(plan, claimed, self._turns)
            self._take_up(plan.claim, [delivery for one in self._claimed(claims) for delivery in one], taken)
        self._gate.took(self._link, offer, taken)

    def _take_up(self, claim: DeliveryClaim, claimed: list[ClaimedDelivery], taken: Counter[str]) -> None:
        if claimed:
            self.claimed += len(claimed)
            wanted = self._still_wanted(claim, claimed)
            taken.update(delivery.channel for delivery in wanted)  # who tries a channel with none of these is to let go
            self._hand_out(claim, wanted)

    def _claimed(self, claims: Sequence[DeliveryClaim]) -> list[list[ClaimedDelivery]]:
        if not claims:
            return []
        try:
            return deliveries.claim_deliveries(self._link.connection, self._context.id, claims)
        except Exception as error:
            if is_lost(error) or is_passing(error):
                raise
            if len(claims) > 1:  # a row that cannot be read must not stop the other buckets: find out whose it is
                return [found for claim in claims for found in self._claimed([claim])]
            self._bench(claims[0].bucket, error)
            return [[]]

    def _still_wanted(self, claim: DeliveryClaim, claimed: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
        """Return what is to be sent of what is claimed; the rest is written down as skipped, or as waiting."""
        connection, project = self._link.connection, self._context.project
        try:
            withdrawn = not_now(project, connection, claim.bucket, claimed)
            withdrawn += too_many_for_the_hour(project, connection, claim.bucket, rest_of(claimed, withdrawn))
        except Exception as error:
            if is_lost(error) or is_passing(error):
                raise
            self._bench(claim.bucket, error)
            return []  # found as claims that nobody holds
        if not withdrawn:
            return claimed
        lease = claim.bucket, claim.epoch
        written = deliveries.finish_deliveries(connection, self._context.id, {lease: withdrawn})
        recorder.stale_writes("delivery", len(withdrawn) - len(written))
        return rest_of(claimed, withdrawn)

    def _hand_out(self, claim: DeliveryClaim, claimed: Iterable[ClaimedDelivery]) -> None:
        by_thread: dict[int, list[ClaimedDelivery]] = defaultdict(list)
        for delivery in claimed:
            # A recipient's deliveries stay on one thread, in order; what goes by one call stays together.
            whose = "" if self._channels[delivery.channel].together > 1 else delivery.recipient
            by_thread[zlib.crc32(whose.encode()) % self._senders.count].append(delivery)
        self.last_sent = claim.bucket
        for chosen in by_thread.values():
            self._submit(Job(claim.bucket, claim.epoch, chosen))

    def _submit(self, job: Job) -> None:
        # The bucket stays in use until the answer is written down, so that it is not let go before.
        self._context.ownership.hold(job.bucket)
        self._in_flight[job.bucket] += 1
        self._context.sending += 1
        self.held.update(delivery.id for delivery in job.deliveries)
        for delivery in job.deliveries:
            self._gate.claimed(delivery)
        self._unsafe_in_hand += self._unsafe(job)
        self._senders.submit(job)

    def _unsafe(self, job: Job) -> Fraction:
        specs = (self._channels[delivery.channel] for delivery in job.deliveries)
        return sum((Fraction(1, spec.together) for spec in specs if not spec.resend_is_safe), Fraction(0))

    def rest(self, until: float) -> None:
        """Wait for answers that are to be written down, until then (time.monotonic) or until the worker drains."""
        until = self._gate.rest_until(until)
        while not (self._context.draining.is_set() or self._is_due()):
            now = time.monotonic()
            if now >= until:
                return
            due = self._answered_at + WRITE_SECONDS if self._answers else until
            self._take(min(max(due, now + 0.001), until, now + LONGEST_WAIT) - now)

    def _is_due(self) -> bool:
        """Return whether answers are to be written down now: they are late, or the senders need more to do."""
        if not self._answers:
            return False
        return not self.is_busy or time.monotonic() >= self._answered_at + WRITE_SECONDS

    def write_answers(self, *, at_once: bool = False) -> None:
        """Take what the senders have answered, and write it down where it is time for that."""
        self._take(0.0)
        self._gate.sync(self._link)
        if not self._answers or not (at_once or self._is_due()):
            return
        sent = {
            lease: [result for answer in answers for result in answer.sent] for lease, answers in self._answers.items()
        }
        written = deliveries.finish_deliveries(self._link.connection, self._context.id, sent)
        recorder.stale_writes("delivery", sum(map(len, sent.values())) - len(written))
        for (bucket, _), answers in self._answers.items():
            self._forget(bucket, answers)
        self._answers.clear()

    def _take(self, timeout: float) -> None:
        try:
            answer = self._senders.results.get(timeout=timeout) if timeout else self._senders.results.get_nowait()
            while True:
                if not self._answers:
                    self._answered_at = time.monotonic()
                self._answers[answer.job.bucket, answer.job.epoch].append(answer)
                self._unsafe_in_hand -= self._unsafe(answer.job)
                answer = self._senders.results.get_nowait()
        except queue.Empty:
            return

    def _forget(self, bucket: int, answers: Sequence[JobDone]) -> None:
        for answer in answers:
            self.held.difference_update(result.delivery.id for result in answer.sent)
            self._context.ownership.leave(bucket)
        self._in_flight[bucket] -= len(answers)
        self._context.sending -= len(answers)
        if not self._in_flight[bucket]:
            del self._in_flight[bucket]
