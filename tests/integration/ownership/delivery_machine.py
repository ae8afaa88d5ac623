"""The rules about notifications: folds and seals behind the lease's fence, deliveries behind fence and token."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from pgsupervise.partitions import batches, deliveries, events, provider_events, reclaim
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.events import Folding
from pgsupervise.partitions.rows import DueBatch, NewDelivery
from pgsupervise.partitions.states import DeliveryState
from pgsupervise.partitions.windows import WindowRule
from tests.integration.ownership.cluster_model import Process
from tests.integration.ownership.delivery_model import MOST_COPIES, Ledger, Message, Sending
from tests.integration.ownership.lease_machine import (
    BUCKETS,
    RECIPIENTS,
    Fate,
    Fence,
    LeaseMachine,
    Sweep,
    among,
    buckets,
    fates,
    fences,
    partition_counts,
    processes,
    sweeps,
)

START = datetime(2020, 1, 1, tzinfo=UTC)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
RULE = WindowRule(window=timedelta(minutes=10))
SAFE, UNSAFE = "inbox", "sendgrid"
ENDS = [
    DeliveryState.ACCEPTED,
    DeliveryState.REFUSED,
    DeliveryState.UNKNOWN,
    DeliveryState.PENDING,
    DeliveryState.WAITING,
    DeliveryState.RETRYING,
]

ADD_EVENT = """
INSERT INTO pgsupervise_event (bucket, policy, recipient, occurred_at) VALUES (%s, 'p', %s, %s) RETURNING id
"""
TELL = """
INSERT INTO pgsupervise_providerevent (bucket, event_id, kind, delivery_id, attempt, address, occurred_at)
VALUES (%s, %s, 'processed', %s, %s, 'ann', now())
"""
DELIVERY_ROWS = "SELECT id, bucket, channel, state, claim_token, claimed_by, attempt, copies FROM pgsupervise_delivery"
# Conservation: what a batch says that it has, what it has, and how often it was frozen in a delivery.
BATCH_ROWS = """
SELECT b.id, b.state = 'SEALED', b.item_count = coalesce(items.n, 0), coalesce(messages.n, 0), b.error
FROM pgsupervise_batch b
LEFT JOIN (SELECT batch_id, count(*) AS n FROM pgsupervise_event GROUP BY 1) items ON items.batch_id = b.id
LEFT JOIN (SELECT batch_id, count(*) AS n FROM pgsupervise_delivery GROUP BY 1) messages ON messages.batch_id = b.id
"""


@dataclass(frozen=True)
class Rendered:
    """Batches that a process has read, and will seal or postpone at some later time under the epoch of then."""

    by: Process
    bucket: int
    epoch: int
    due: tuple[DueBatch, ...]


FORMER = 4
"""How many readings and sendings beside the rightful ones are still about to be written down by somebody."""
a_rendering = among(lambda machine: machine.renderings[-FORMER:])
some_sendings = st.lists(among(lambda machine: machine.open_sendings()), min_size=1, max_size=3)
has_renderings = precondition(lambda machine: bool(machine.renderings))
has_sendings = precondition(lambda machine: bool(machine.sendings))


stories = st.fixed_dictionaries(
    {
        "recipient": st.sampled_from(RECIPIENTS),
        "channel": st.sampled_from([SAFE, UNSAFE]),
        "before_seal": st.none() | fates,
        "fate": fates,
        "sweep": sweeps,
        "inherited": st.booleans(),
        "forgets": st.booleans(),
        "state": st.sampled_from(ENDS),
    }
)


class DeliveryMachine(LeaseMachine):
    """Events are folded, sealed and sent by whoever once had the bucket."""

    def __init__(self, connections: Sequence[psycopg.Connection]) -> None:
        super().__init__(connections)
        self.ledger = Ledger(self.cluster)
        self.renderings: list[Rendered] = []
        self.sendings: list[Sending] = []
        self.notified = 0
        self.told = 0
        self.last_sending: dict[int, Sending] = {}

    def claimers(self) -> Collection[Process]:
        return {message.claimer for message in self.ledger.sending() if message.claimer}

    def open_sendings(self) -> list[Sending]:
        """Return the sendings whose end is not written down yet, most of them rightful."""
        current = [one for one in self.sendings if self.ledger.messages[one.delivery.id] in self.ledger.sending()]
        return current + self.sendings[-FORMER:]

    @initialize(partitions=partition_counts, story=stories)
    def begins_with_a_story(self, partitions: int, story: dict[str, Any]) -> None:
        self.boots_and_acquires(0, partitions, BUCKETS[0])
        self.is_late_with_its_end(self.cluster.processes[0], story)

    @rule(recipient=st.sampled_from(RECIPIENTS), count=st.integers(1, 3), apart=st.booleans())
    def notifies(self, recipient: str, count: int, apart: bool) -> None:
        bucket = bucket_of(recipient)
        for _ in range(count):
            self.notified += 1
            # So far apart that each opens a batch of its own, or so near that all are one digest.
            at = START + timedelta(days=self.notified) if apart else START + timedelta(microseconds=self.notified)
            row = self.keeper.execute(ADD_EVENT, [bucket, recipient, at]).fetchone()
            assert row
            self.ledger.pending.append((at, row[0], bucket))
        self.ledger.pending.sort()

    @rule(caller=processes, bucket=buckets, fence=fences, limit=st.sampled_from([2, 100]))
    def folds_and_renders(self, caller: Process, bucket: int, fence: Fence, limit: int) -> None:
        process, epoch = self.fenced(bucket, caller, fence)
        holds = self.cluster.holds(process, bucket, epoch)
        connection = self.of(process)
        try:
            folded = events.fold_events(
                connection,
                bucket=bucket,
                owner=process.id,
                epoch=epoch,
                folding=Folding(lambda policy, person: RULE, ["p"]),
                limit=limit,
            )
            # With nothing to fold nothing is written, and the fence is not asked.
            assert holds or not folded.events, "a fold passed the fence that should not"
            assert [event.id for event in folded.events] == self.ledger.fold(bucket, limit)
        except LeaseLostError:
            assert not holds, "a fold was refused that should pass"
        due = batches.due_batches(connection, bucket=bucket, policies=["p"], clock=NEVER).batches
        found = tuple(batch for batch in due if isinstance(batch, DueBatch))
        assert len(found) == len(due)
        if found:
            self.renderings.append(Rendered(process, bucket, epoch, found))

    @has_renderings
    @rule(rendered=a_rendering, channel=st.sampled_from([SAFE, UNSAFE]))
    def seals(self, rendered: Rendered, channel: str) -> None:
        by, bucket, epoch = rendered.by, rendered.bucket, rendered.epoch
        holds = self.cluster.holds(by, bucket, epoch)
        new = [(batch, [NewDelivery(channel, {})]) for batch in rendered.due]
        try:
            sealed = batches.seal_batches(self.of(by), bucket=bucket, owner=by.id, epoch=epoch, rendered=new)
        except LeaseLostError:
            assert not holds, "a seal was refused that should pass"
            return
        assert holds, "a seal passed the fence that should not"
        frozen = self.ledger.seal(batch.id for batch in rendered.due)
        assert sealed == len(frozen)
        rows = self.read("SELECT id, batch_id, recipient FROM pgsupervise_delivery WHERE batch_id = ANY(%s)", frozen)
        assert [batch for _, batch, _ in sorted(rows)] == frozen, "one delivery a batch, in the order of the batches"
        self.ledger.messages.update({id_: Message(id_, recipient, channel) for id_, _, recipient in rows})

    @has_renderings
    @rule(rendered=a_rendering)
    def postpones(self, rendered: Rendered) -> None:
        by, bucket, epoch = rendered.by, rendered.bucket, rendered.epoch
        holds = self.cluster.holds(by, bucket, epoch)
        errors = [(batch.id, f"error of {by}") for batch in rendered.due]
        try:
            batches.postpone_batches(
                self.of(by), bucket=bucket, owner=by.id, epoch=epoch, errors=errors, until=NEVER - timedelta(days=1)
            )
        except LeaseLostError:
            assert not holds, "a postponement was refused that should pass"
        else:
            assert holds, "a postponement passed the fence that should not"

    @rule(
        caller=processes,
        bucket=buckets,
        fence=fences,
        channels=st.sampled_from([[SAFE], [UNSAFE], [SAFE, UNSAFE]]),
        limit=st.integers(1, 3),
        reply_is_lost=st.sampled_from([False, False, True]),
        ripe=st.booleans(),
    )
    def claims_deliveries(
        self,
        caller: Process,
        bucket: int,
        fence: Fence,
        channels: list[str],
        limit: int,
        reply_is_lost: bool,
        ripe: bool = True,
    ) -> None:
        process, epoch = self.fenced(bucket, caller, fence)
        claim = deliveries.DeliveryClaim(bucket, epoch, channels, limit, ripe=ripe)
        (claimed,) = deliveries.claim_deliveries(self.of(process), process.id, [claim])
        if ripe:
            self.ledger.promote(process, bucket, epoch)
        predicted = self.ledger.claim(process, bucket, epoch, channels, limit)
        got = [(one.id, one.bucket, one.claim_token, one.attempt) for one in claimed]
        assert got == [(message.id, message.bucket, message.token, message.attempt) for message in predicted]
        made = [Sending(process, epoch, delivery) for delivery in claimed]
        self.last_sending.update({one.delivery.id: one for one in made})
        if not reply_is_lost:
            process.in_hand |= {one.id for one in claimed}
            self.sendings += made

    @has_sendings
    @rule(
        chosen=some_sendings,
        state=st.sampled_from(ENDS),
        delay=st.sampled_from([timedelta(0), timedelta(hours=1)]),
        burnt=st.booleans(),
    )
    def finishes(self, chosen: list[Sending], state: DeliveryState, delay: timedelta, burnt: bool) -> None:
        for (by, epoch, bucket), group in _by_writer(chosen):
            until = NEVER if delay else START
            how: dict[str, Any] = {"delay": delay, "until": until, "burnt": burnt, "in_doubt": bool(delay)}
            sent = [SentDelivery(one.delivery, state, **how) for one in group]
            written = deliveries.finish_deliveries(self.of(by), by.id, {(bucket, epoch): sent})
            assert written == self.ledger.finish(by, epoch, group, state, not delay, burnt)
            for number in written:
                assert self.last_sending[number] in group, "a former sender ended the claim of another"
            by.in_hand -= {one.delivery.id for one in group}

    @rule(caller=processes, story=stories)
    def is_late_with_its_end(self, caller: Process, story: dict[str, Any]) -> None:
        """The story of the fences: between reading and sealing, or claim and end, something happens to the process."""
        bucket, channel, forgets = bucket_of(story["recipient"]), story["channel"], story["forgets"]
        self.notifies(story["recipient"], 2, apart=True)
        self.seals_late(caller, bucket, channel, story["before_seal"])
        process = self.cluster.owner[bucket] or caller
        for wrong in (Fence.STALE, Fence.STOLEN):
            self.claims_deliveries(caller, bucket, wrong, [channel], 2, forgets)
        self.claims_deliveries(caller, bucket, Fence.RIGHT, [channel], 2, forgets)
        former = self.sendings[-2:]
        self.suffers(process, story["fate"])
        if story["sweep"] is not Sweep.NONE:
            self.prune()
            self.claims_of_the_dead_are_reclaimed(False, [SAFE])
            (self.prune if story["sweep"] is Sweep.PRUNES else self.free)()
        if forgets:
            self.releases_what_it_does_not_hold(process)
        if story["inherited"]:
            self.claims_deliveries(self.heir_of(bucket)[0], bucket, Fence.RIGHT, [channel], 2, False)
        self.finishes(former[:1], story["state"], timedelta(hours=story["inherited"]), True)
        self.finishes(former[1:], story["state"], timedelta(0), True)
        self.claims_deliveries(caller, bucket, Fence.RIGHT, [channel], 2, False)
        self.releases_what_it_does_not_hold(process)
        for sent in (former, self.sendings[-2:]):
            self.finishes(sent, DeliveryState.ACCEPTED, timedelta(0), True)

    def seals_late(self, caller: Process, bucket: int, channel: str, fate: Fate | None) -> None:
        """Let something happen to the owner between reading and sealing; then seal twice, and postpone the sealed."""
        self.folds_and_renders(caller, bucket, Fence.RIGHT, 100)
        rendered, process = self.renderings[-1:], self.cluster.owner[bucket] or caller
        if fate:
            self.suffers(process, fate)
        for one in rendered:
            self.seals(one, channel)
        self.folds_and_renders(caller, bucket, Fence.RIGHT, 100)
        for one in rendered + self.renderings[-1:]:
            self.seals(one, channel)
            self.postpones(one)

    @has_sendings
    @rule(chosen=some_sendings)
    def the_provider_tells(self, chosen: list[Sending]) -> None:
        """What it tells of an attempt comes at any time: before its end is written down, or when others have it."""
        for one in chosen:
            self.told += 1
            delivery = one.delivery
            self.keeper.execute(TELL, [delivery.bucket, f"e{self.told}", delivery.id, delivery.attempt])
            self.ledger.messages[delivery.id].told.add(delivery.attempt)

    @rule(caller=processes, bucket=buckets, fence=fences)
    def takes_note_of_what_was_told(self, caller: Process, bucket: int, fence: Fence) -> None:
        process, epoch = self.fenced(bucket, caller, fence)
        _, proven = provider_events.take_note(
            self.of(process), bucket=bucket, owner=process.id, epoch=epoch, limit=1000
        )
        assert {one.id: one.new_duplicates for one in proven} == self.ledger.take_note(process, bucket, epoch)

    @rule(process=processes)
    def releases_what_it_does_not_hold(self, process: Process) -> None:
        found = deliveries.release_unheld_deliveries(self.of(process), process.id, process.in_hand)
        assert len(found) == len(set(found))
        assert set(found) == self.ledger.release_unheld(process)

    @rule(resend=st.booleans(), safe=st.sampled_from([[], [SAFE]]))
    def claims_of_the_dead_are_reclaimed(self, resend: bool, safe: list[str]) -> None:
        policies = ["p"] if resend else []
        found = reclaim.reclaim(self.keeper, safe_channels=safe, resend_policies=policies, most_copies=MOST_COPIES)
        assert (found.deliveries, found.unknown_deliveries) == self.ledger.reclaim(safe, resend)

    def check(self) -> None:
        super().check()
        self.deliveries_are_as_predicted()
        self.each_event_is_in_one_place_and_each_digest_is_frozen_once()

    @invariant()
    def deliveries_are_as_predicted(self) -> None:
        assert set(self.read(DELIVERY_ROWS)) == {message.row() for message in self.ledger.messages.values()}

    @invariant()
    def each_event_is_in_one_place_and_each_digest_is_frozen_once(self) -> None:
        rows = self.read("SELECT id, batch_id FROM pgsupervise_event")
        assert {id_ for id_, batch in rows if batch is None} == {id_ for _, id_, _ in self.ledger.pending}
        assert {id_ for id_, batch in rows if batch is not None} == self.ledger.folded
        found = self.read(BATCH_ROWS)
        assert {id_ for id_, is_sealed, *_ in found if is_sealed} == self.ledger.sealed
        for id_, is_sealed, complete, frozen, error in found:
            assert complete, f"batch {id_} counts other items than it has"
            assert frozen == int(is_sealed)
            assert not (is_sealed and error), "what was sealed was postponed later"


def _by_writer(chosen: list[Sending]) -> list[tuple[tuple[Process, int, int], list[Sending]]]:
    """A statement is one process's about one bucket, under one epoch."""
    ordered = sorted(set(chosen), key=lambda one: (one.by.number, one.epoch, one.delivery.bucket, one.delivery.id))
    grouped = groupby(ordered, lambda one: (one.by, one.epoch, one.delivery.bucket))
    return [(key, list(group)) for key, group in grouped]
