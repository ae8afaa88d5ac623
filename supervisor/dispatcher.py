"""Deliveries between the tables and the senders: claimed for many buckets at once, answers written down together.

A commit takes longer than a call on many a disk, so what belongs to several buckets shares one.
"""

import math
import queue
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from pgsupervise.metrics import recorder
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.connection import is_lost, is_passing
from pgsupervise.partitions.deliveries import DeliveryClaim
from pgsupervise.partitions.rows import ClaimedDelivery

from .claim_kinds import Kind, kinds_of
from .context import WorkerContext
from .link import Link
from .mark_book import MarkBook
from .second_look import not_now
from .senders import Job, JobDone, Senders
from .turns import Turns

GROUP = 8
"""So many buckets' deliveries are claimed together."""
WRITE_SECONDS = 0.02
"""How long an answer waits for others, so that they are written down together, while the senders have work."""
LONGEST_WAIT = 0.5

Bench = Callable[[int, Exception], None]
"""Leaves a bucket alone whose rows cannot be read."""


class Wanted(NamedTuple):
    """A bucket with deliveries to claim, for channels that may send twice and for the others.

    `ripe`: some that waited may go now, by whichever channel.
    """

    bucket: int
    epoch: int
    safe: bool
    unsafe: bool
    ripe: bool = False


class Dispatcher:
    """Used by the flusher's thread alone."""

    def __init__(self, context: WorkerContext, link: Link, senders: Senders, marks: MarkBook, bench: Bench) -> None:
        self._context = context
        self._bench = bench
        self._channels = context.project.channels
        self._link = link
        self._senders = senders
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
        """Return the channels that are not paused: those that may send twice, and the others."""
        names = self._senders.open_channels()
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
        safe, unsafe = self.open_channels()
        budget = max(Fraction(0), self._senders.reach() - self._unsafe_in_hand)
        share = math.ceil(budget / max(1, sum(one.unsafe or one.ripe for one in wanted)))
        fronts = self._fronts(wanted, kinds_of(self._channels, safe, unsafe, share))
        full: list[tuple[Kind, DeliveryClaim, list[ClaimedDelivery]]] = []
        for (kind, claim), claimed in zip(fronts, self._claimed([claim for _, claim in fronts]), strict=True):
            if claimed:
                self.claimed += len(claimed)
                setattr(self._marks.of(claim.bucket, claim.epoch), kind.which, claimed[-1].id)
                self._hand_out(claim, self._still_wanted(claim, claimed))
            if len(claimed) == claim.limit:
                full.append((kind, claim, claimed))
        self._claim_beside(full)

    def _fronts(self, wanted: Sequence[Wanted], kinds: Sequence[Kind]) -> list[tuple[Kind, DeliveryClaim]]:
        """Return the claims of what comes next in each bucket, whoever's it is."""
        claims: list[tuple[Kind, DeliveryClaim]] = []
        for bucket, epoch, any_safe, any_unsafe, ripe in wanted:
            marks = self._marks.of(bucket, epoch)
            if ripe:
                marks.safe = marks.unsafe = marks.grouped = 0  # those that have waited are below
            for kind in kinds:
                if ripe or (any_safe if kind.which == "safe" else any_unsafe):
                    beside = marks.turns.taken if kind.which == "unsafe" else 0
                    limit, after = max(1, kind.limit - beside), getattr(marks, kind.which)
                    claims.append((kind, DeliveryClaim(bucket, epoch, kind.channels, limit, after, ripe)))
        return claims

    def _claim_beside(self, full: Sequence[tuple[Kind, DeliveryClaim, list[ClaimedDelivery]]]) -> None:
        """Claim for the tenants that these claims have left out."""
        for kind, claim, claimed in full:
            turns = self._marks.of(claim.bucket, claim.epoch).turns
            last = getattr(turns, kind.which)
            claims, last = self._turns.after(claim, claimed, last, most=-(-kind.limit // 2))
            setattr(turns, kind.which, last)
            if kind.which == "unsafe":
                turns.taken = len(claims)
            if found := [delivery for one in self._claimed(claims) for delivery in one]:
                self.claimed += len(found)
                self._hand_out(claim, self._still_wanted(claim, found))

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
        connection = self._link.connection
        try:
            withdrawn = not_now(self._context.project, connection, claim.bucket, claimed)
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
        gone = {result.delivery.id for result in withdrawn}
        return [delivery for delivery in claimed if delivery.id not in gone]

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
        self._unsafe_in_hand += self._unsafe(job)
        self._senders.submit(job)

    def _unsafe(self, job: Job) -> Fraction:
        specs = (self._channels[delivery.channel] for delivery in job.deliveries)
        return sum((Fraction(1, spec.together) for spec in specs if not spec.resend_is_safe), Fraction(0))

    def rest(self, until: float) -> None:
        """Wait for answers that are to be written down, until then (time.monotonic) or until the worker drains."""
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
