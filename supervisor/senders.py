"""A small pool of threads that does HTTP and nothing else: one client a thread and channel, no database connection."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import cast

from pgsupervise.metrics import recorder
from pgsupervise.metrics.instruments import SendEnd
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState

from .gate import Gate, lone_gate
from .grouping import next_group, whom
from .judging import judged, storable
from .outcomes import Accepted, Forbidden, NotSent, Paused, Refused, SendOutcome, Unknown
from .project import Channel, GroupChannel, Project, RestingChannel
from .waiting_jobs import WaitingJobs

logger = logging.getLogger(__name__)
REACH_SECONDS, MOST_IN_REACH = 0.05, 200
Call = Callable[[Channel], Sequence[SendOutcome | None]]
"""Sends one message, or several at once."""


@dataclass(frozen=True, slots=True)
class Job:
    """Deliveries of one bucket for one thread, sent in order."""

    bucket: int
    epoch: int
    deliveries: Sequence[ClaimedDelivery]


@dataclass(frozen=True, slots=True)
class JobDone:
    """A job and what became of each of its deliveries."""

    job: Job
    sent: Sequence[SentDelivery]


class Senders:
    """Takes jobs, gives back results through `results`; `may_send` is asked before each call."""

    def __init__(self, project: Project, count: int, may_send: Callable[[], bool], gate: Gate | None = None) -> None:
        self.results: queue.SimpleQueue[JobDone] = queue.SimpleQueue()
        self._project = project
        self._may_send = may_send
        self._jobs = WaitingJobs(self._together)
        self.gate = gate or lone_gate(project)
        self._call_seconds = 1.0
        self._threads = [threading.Thread(target=self._run, name=f"sender-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        """How many calls can be under way at once."""
        return len(self._threads)

    def reach(self) -> int:
        """Return how many calls are worth having in hand: what is done in a moment, or else two a thread.

        Whoever is killed leaves behind what it had in hand, and of a message begun or not nobody knows its fate.
        """
        soon = round(len(self._threads) * REACH_SECONDS / self._call_seconds)
        return min(MOST_IN_REACH, max(2 * len(self._threads), soon))

    def submit(self, job: Job) -> None:
        """Hand a job to the pool."""
        self._jobs.put(job)

    def send_here(self, job: Job) -> Sequence[SentDelivery]:
        """Send a job in the calling thread, and return what became of each delivery."""
        return list(self._send_all(job.deliveries, {}).values())

    def stop(self) -> None:
        """Let the threads end after what was submitted, and wait for them."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        channels: dict[str, Channel] = {}
        while (job := self._jobs.next(lambda: _rest(channels))) is not None:
            jobs = [job, *self._jobs.more_for(job)]
            sent = self._send_all([delivery for one in jobs for delivery in one.deliveries], channels)
            for one in jobs:
                self.results.put(JobDone(one, [sent[delivery.id] for delivery in one.deliveries]))
        _rest(channels)
        self._project.close_connections()

    def _send_all(self, deliveries: Sequence[ClaimedDelivery], channels: dict[str, Channel]) -> dict[int, SentDelivery]:
        sent: dict[int, SentDelivery] = {}
        held_back: set[tuple[str, str]] = set()
        waiting = deliveries
        while waiting:
            group, waiting = next_group(waiting, self._together)
            for result in self._send_group(group, held_back, channels):
                if result.state in (DeliveryState.PENDING, DeliveryState.RETRYING):
                    held_back.add(whom(result.delivery))  # the recipient's later ones stay behind this one
                sent[result.delivery.id] = result
        return sent

    def _together(self, delivery: ClaimedDelivery) -> int:
        return self._project.channels[delivery.channel].together

    def _send_group(
        self, group: Sequence[ClaimedDelivery], held_back: AbstractSet[tuple[str, str]], channels: dict[str, Channel]
    ) -> list[SentDelivery]:
        ready = [delivery for delivery in group if whom(delivery) not in held_back and self._begins(delivery)]
        begun = {delivery.id for delivery in ready}
        for delivery in group:
            if delivery.id not in begun:
                self.gate.left(delivery)
        sent = self._send_together(ready, channels) if len(ready) > 1 else {}
        for delivery in ready:
            if delivery.id in sent:
                continue
            if len(ready) > 1 and not self._begins_again(delivery):
                continue
            sent[delivery.id] = self._send(delivery, channels)
        return [sent.get(delivery.id) or _not_begun(delivery) for delivery in group]

    def _begins(self, delivery: ClaimedDelivery) -> bool:
        return self.gate.begin(delivery, self._may_send)

    def _begins_again(self, delivery: ClaimedDelivery) -> bool:
        """Begin by itself what was refused with others, unless the worker drains by now, or the channel rests."""
        self.gate.begins_again(delivery)
        begun = self._begins(delivery)
        if not begun:
            self.gate.left(delivery)
        return begun

    def _send(self, delivery: ClaimedDelivery, channels: dict[str, Channel]) -> SentDelivery:
        def call(channel: Channel) -> Sequence[SendOutcome | None]:
            return [channel.send(delivery)]

        return self._called([delivery], channels, call)[delivery.id]

    def _send_together(
        self, deliveries: Sequence[ClaimedDelivery], channels: dict[str, Channel]
    ) -> dict[int, SentDelivery]:
        """Send by one call; what is not in the answer is to be sent by itself."""

        def call(channel: Channel) -> Sequence[SendOutcome | None]:
            return cast(GroupChannel, channel).send_together(deliveries)

        return self._called(deliveries, channels, call)

    def _called(
        self, deliveries: Sequence[ClaimedDelivery], channels: dict[str, Channel], call: Call
    ) -> dict[int, SentDelivery]:
        name, began = deliveries[0].channel, time.perf_counter()
        if not self._project.channels[name].resend_is_safe and (copies := sum(d.copies > 0 for d in deliveries)):
            recorder.deliveries_resent(name, copies)
        outcomes: Sequence[SendOutcome | None]
        try:
            if name not in channels:
                channels[name] = self._project.channels[name].build()
            outcomes = call(channels[name])
            if not _are_outcomes(outcomes, len(deliveries)):
                raise TypeError(f"the channel returned {outcomes!r:.200}: there must be an outcome for each message")
        except BaseException as error:  # a channel's own fault, even SystemExit: nobody can tell what went out
            fields = {"channel": name, "delivery": deliveries[0].id, "messages": len(deliveries)}
            logger.exception("channel failed", extra={"fields": fields})
            outcomes = [Unknown(f"{type(error).__name__} in the channel")] * len(deliveries)
        seconds = time.perf_counter() - began
        self._call_seconds = max(1e-4, self._call_seconds + (seconds - self._call_seconds) / 16)
        known = [(delivery, outcome) for delivery, outcome in zip(deliveries, outcomes, strict=True) if outcome]
        if len(known) < len(deliveries):
            fields = {"channel": name, "messages": len(deliveries) - len(known)}
            logger.warning("refused together: sent one by one", extra={"fields": fields})
        return self._judged(known, seconds)

    def _judged(self, known: Sequence[tuple[ClaimedDelivery, SendOutcome]], seconds: float) -> dict[int, SentDelivery]:
        """Learn from the outcomes of one call, from those that are alike once, and return what becomes of each."""
        blocked: dict[SendOutcome, bool] = {}
        sent: dict[int, SentDelivery] = {}
        for delivery, outcome in known:
            recorder.delivery_finished(delivery.channel, _label(outcome), seconds)
            if outcome in blocked:
                self.gate.over(delivery)
            else:
                blocked[outcome] = self.gate.ended(delivery, outcome)
                _tell(delivery, outcome)
            sent[delivery.id] = judged(self._project, delivery, outcome, blocked=blocked[outcome])
        return sent


def _rest(channels: Mapping[str, Channel]) -> None:
    for name, channel in channels.items():
        if isinstance(channel, RestingChannel):
            try:
                channel.rest()
            except Exception:  # a project's own channel may raise anything; nothing was to be sent, and others rest too
                logger.exception("channel cannot rest", extra={"fields": {"channel": name}})


def _tell(delivery: ClaimedDelivery, outcome: SendOutcome) -> None:
    if not isinstance(outcome, Accepted | Paused):
        fields = {"channel": delivery.channel, "delivery": delivery.id, "attempt": delivery.attempt}
        fields |= {"outcome": _label(outcome), "reason": storable(outcome.reason)}
        logger.warning("delivery not accepted", extra={"fields": fields})


def _not_begun(delivery: ClaimedDelivery) -> SentDelivery:
    return SentDelivery(delivery, DeliveryState.PENDING, error="not begun", burnt=False)


_LABELS: Mapping[type[SendOutcome], SendEnd] = {
    Accepted: "accepted",
    NotSent: "not_sent",
    Refused: "refused",
    Paused: "paused",
    Forbidden: "forbidden",
    Unknown: "unknown",
}


def _are_outcomes(answer: object, amount: int) -> bool:
    if not isinstance(answer, list | tuple) or len(answer) != amount:
        return False
    return all(type(one) in _LABELS or (one is None and amount > 1) for one in answer)


def _label(outcome: SendOutcome) -> SendEnd:
    """Return the outcome's name, as metrics spell it."""
    return _LABELS[type(outcome)]
