"""Random histories of events, clocks and owners: after each step every event is where the model says."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pgsupervise.partitions import batches, events, leases, workers
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.events import Folding
from pgsupervise.partitions.rows import DueBatch, NewDelivery, Person
from pgsupervise.partitions.windows import WindowRule
from tests.integration.notifying.model import HOSTS, MINUTE, OWN_LEFT_OUT, POLICIES, RULES, Key, Told, Where, contents
from tests.integration.ownership.lease_machine import EMPTY, among
from tests.integration.world import worker

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAR = NOON.replace(year=2030)
RECIPIENTS = ("ann", "bob")
BUCKETS = sorted({bucket_of(recipient) for recipient in RECIPIENTS})


def rule_of(key: Key, person: Person | None) -> WindowRule:
    """Return the rule of a key's policy."""
    return RULES[key[0]]


FOLDING = Folding(
    rules=rule_of,
    policies=POLICIES,
    hosts=HOSTS,
    quiet={name for name, rule in RULES.items() if rule.quiet is not None},
    own_left_out=[OWN_LEFT_OUT],
)

TELL = """
INSERT INTO pgsupervise_event (bucket, policy, recipient, tenant, key, actor, is_flush, occurred_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
RETRACT = "UPDATE pgsupervise_event SET state = 'RETRACTED' WHERE bucket = %s AND id = %s"
# The conservation law: where each event is, by the tables alone.
WHERE_IS = """
SELECT e.id, CASE WHEN e.state <> 'FOLDED' THEN e.state WHEN b.state = 'SEALED' THEN 'SEALED' ELSE 'OPEN' END
FROM pgsupervise_event e
LEFT JOIN pgsupervise_batch b ON b.id = e.batch_id AND b.bucket = e.bucket
"""
OPEN_KEYS = "SELECT policy, recipient, tenant, key FROM pgsupervise_batch WHERE state = 'OPEN'"
COUNTS = """
SELECT b.id, b.item_count, (SELECT count(*) FROM pgsupervise_event e WHERE e.batch_id = b.id) FROM pgsupervise_batch b
"""
SEALED = """
SELECT b.id, b.policy, b.recipient, b.tenant, b.key,
    coalesce((SELECT array_agg(e.id ORDER BY e.occurred_at, e.id) FROM pgsupervise_event e
        WHERE e.batch_id = b.id AND e.state = 'FOLDED'), '{}'),
    coalesce((SELECT payload->'ids' FROM pgsupervise_delivery d WHERE d.batch_id = b.id), '[]')
FROM pgsupervise_batch b
WHERE b.state = 'SEALED'
"""

quarters = st.integers(0, 6).map(lambda number: number * 15 * MINUTE)
whose = {
    "recipient": st.sampled_from(RECIPIENTS),
    "tenant": st.sampled_from(["", "", "", "acme"]),
    "key": st.sampled_from(["", "", "", "page"]),
}
whom = st.fixed_dictionaries({"policy": among(lambda machine: machine.chosen), **whose})
stories = st.lists(st.tuples(st.integers(0, 1), st.fixed_dictionaries(whose), quarters), min_size=6, max_size=12)
buckets = st.sampled_from(BUCKETS)


class Fate(Enum):
    """What happens to an owner between its fold and its seal."""

    NONE = "nothing"
    EVENTS_COME = "more is told, and the clock moves on"
    DIES = "it stops, and another one folds and seals before it wakes up"
    STOPS_HALFWAY = "it stops after half of its batches, and wakes up when another one has the bucket"


class Owner(NamedTuple):
    """A worker and the epoch under which it has, or had, a bucket."""

    id: UUID
    epoch: int


class NotificationMachine(RuleBasedStateMachine):
    """The owners do as the flusher does, and stop anywhere."""

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__()
        self.connection = connection
        connection.execute(EMPTY)
        self.chosen: list[str] = POLICIES
        self.told: list[Told] = []
        self.tainted: set[Key] = set()
        """Keys whose digests depend on when they were folded, by their nature: something came late to them."""
        self.folded_until = dict.fromkeys(BUCKETS, NOON)
        self.owner: dict[int, Owner] = {}
        self.clock = NOON
        self.sets_the_clock(NOON)
        for bucket in BUCKETS:
            self.takes_over(bucket, True)

    @initialize(chosen=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=2, unique=True), story=stories)
    def begins(self, chosen: list[str], story: list[tuple[int, dict[str, str], Any]]) -> None:
        """Few policies in one history: else each key gets too few events for anything to happen to them."""
        self.chosen = chosen
        self.hours_pass([({"policy": chosen[number % len(chosen)], **who}, later) for number, who, later in story])

    def sets_the_clock(self, at: datetime) -> None:
        self.clock = at
        self.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [at])

    def tell(self, at: datetime, kind: str, *, policy: str, recipient: str, tenant: str, key: str) -> Told:
        bucket, actor = bucket_of(recipient), recipient if kind == "own" else "somebody"
        values = [bucket, policy, recipient, tenant, key, actor, kind == "flush", at]
        row = self.connection.execute(TELL, values).fetchone()
        assert row
        if kind == "own" and policy != OWN_LEFT_OUT:
            kind = "event"
        self.told.append(Told(row[0], bucket, (HOSTS.get(policy, policy), recipient, tenant, key), at, kind))
        return self.told[-1]

    @rule(who=whom, later=quarters, kind=st.sampled_from(["event", "event", "event", "own", "flush"]))
    def tells(self, who: dict[str, str], later: Any, kind: str) -> None:
        """In time: before the clock has passed it, and before a later event of the bucket was folded."""
        self.tell(max(self.clock, self.folded_until[bucket_of(who["recipient"])]) + later, kind, **who)

    @rule(who=whom, count=st.integers(2, 5), apart=st.integers(0, 3).map(lambda number: number * 15 * MINUTE))
    def tells_several(self, who: dict[str, str], count: int, apart: Any) -> None:
        first = max(self.clock, self.folded_until[bucket_of(who["recipient"])])
        for number in reversed(range(count)):
            self.tell(first + number * apart, "event", **who)

    @rule(told=st.lists(st.tuples(whom, quarters), min_size=4, max_size=12))
    def hours_pass(self, told: list[tuple[dict[str, str], Any]]) -> None:
        """A lot is told in any order, the clock passes some of it, and the owners do their work."""
        now = max(self.clock, *self.folded_until.values())
        for who, later in told:
            self.tell(now + later, "event", **who)
        self.sets_the_clock(now + 60 * MINUTE)
        for bucket in BUCKETS:
            self.serves(bucket, 3, Fate.NONE, False, {})

    @rule(who=whom, earlier=st.integers(1, 12))
    def tells_late(self, who: dict[str, str], earlier: int) -> None:
        late = self.tell(min(self.clock, *self.folded_until.values()) - earlier * 15 * MINUTE, "event", **who)
        self.tainted.add(late.key)

    @precondition(lambda self: any(event.where in (Where.PENDING, Where.OPEN) for event in self.told))
    @rule(data=st.data())
    def retracts(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from([e for e in self.told if e.where in (Where.PENDING, Where.OPEN)]))
        if event.kind == "flush":
            return
        self.connection.execute(RETRACT, [event.bucket, event.id])
        if event.was_folded and RULES[event.key[0]].flush_at is not None:
            self.tainted.add(event.key)  # it counted, or it did not, by when it was folded
        event.where = Where.RETRACTED

    @rule(later=quarters)
    def clock_moves(self, later: Any) -> None:
        self.sets_the_clock(self.clock + later)

    @rule(bucket=buckets, limit=st.integers(1, 4))
    def folds(self, bucket: int, limit: int) -> None:
        self.fold(bucket, self.owner[bucket], limit)

    @rule(bucket=buckets, is_another=st.booleans())
    def takes_over(self, bucket: int, is_another: bool) -> None:
        """The owner stops and its bucket is freed, or it gives it back: who acquires it then has the next epoch."""
        former = self.owner.get(bucket)
        if former and is_another:
            workers.stop_worker(self.connection, former.id, "stopped")
            leases.free_leases_of_the_dead(self.connection)
        elif former:
            leases.release_leases(self.connection, former.id, [bucket])
        identity = worker(self.connection) if is_another or former is None else former.id
        (epoch,) = leases.acquire_leases(self.connection, identity, [bucket]).values()
        self.owner[bucket] = Owner(identity, epoch)

    @rule(
        bucket=buckets,
        limit=st.sampled_from([1, 3, 100]),
        fate=st.sampled_from([Fate.NONE, *Fate]),
        is_another=st.booleans(),
        who=whom,
    )
    def serves(self, bucket: int, limit: int, fate: Fate, is_another: bool, who: dict[str, str]) -> None:
        """Fold all that is pending, then seal what is due by the clock of that fold, as the flusher does."""
        owner = self.owner[bucket]
        due = self.fold_all_and_look(bucket, owner, limit)
        if fate is Fate.EVENTS_COME:
            self.tells(who, 0 * MINUTE, "event")
            self.clock_moves(60 * MINUTE)
        elif fate is Fate.DIES:
            self.takes_over(bucket, is_another)
            self.tells_late(who, 1)
            self.fold(bucket, owner, limit)
            self.serves(bucket, limit, Fate.NONE, False, who)
        elif fate is Fate.STOPS_HALFWAY:
            half = len(due) // 2
            self.seal(bucket, owner, due[:half])
            due = due[half:]
            self.takes_over(bucket, is_another)
        self.seal(bucket, owner, due)

    def fold_all_and_look(self, bucket: int, owner: Owner, limit: int) -> list[DueBatch]:
        while (folded := self.fold(bucket, owner, limit)) and len(folded.events) == limit:
            pass
        if folded is None:
            return []
        due = batches.due_batches(self.connection, bucket=bucket, policies=list(RULES), clock=folded.clock).batches
        found = [batch for batch in due if isinstance(batch, DueBatch)]
        assert len(found) == len(due)
        return found

    def fold(self, bucket: int, owner: Owner, limit: int) -> events.Folded | None:
        pending = sorted((e for e in self.told if e.bucket == bucket and e.where is Where.PENDING), key=_order)[:limit]
        try:
            folded = events.fold_events(
                self.connection, bucket=bucket, owner=owner.id, epoch=owner.epoch, folding=FOLDING, limit=limit
            )
        except LeaseLostError:
            assert owner != self.owner[bucket], "the owner's fold was refused"
            return None
        assert owner == self.owner[bucket] or not pending, "a former owner has folded"
        assert [event.id for event in folded.events] == [event.id for event in pending]
        for event in pending:
            event.where = Where.OPEN if event.kind == "event" else Where.FILTERED
            event.was_folded = True
            self.folded_until[bucket] = max(self.folded_until[bucket], event.at)
        return folded

    def seal(self, bucket: int, owner: Owner, due: Sequence[DueBatch]) -> None:
        if not due:
            return
        rendered = [
            (batch, [NewDelivery("inbox", {"ids": list(batch.item_ids)})] if batch.item_ids else []) for batch in due
        ]
        try:
            sealed = batches.seal_batches(
                self.connection, bucket=bucket, owner=owner.id, epoch=owner.epoch, rendered=rendered
            )
        except LeaseLostError:
            assert owner != self.owner[bucket], "the owner's seal was refused"
            return
        assert owner == self.owner[bucket], "a former owner has sealed"
        assert sealed == len(due)
        shown = {id_ for batch in due for id_ in batch.item_ids}
        for event in self.told:
            if event.id in shown:
                assert event.where is Where.OPEN
                event.where = Where.SEALED

    @invariant()
    def each_event_is_in_one_place(self) -> None:
        rows = self.connection.execute(WHERE_IS).fetchall()
        assert {id_: Where(where) for id_, where in rows} == {event.id: event.where for event in self.told}
        assert len(rows) == len(self.told)

    @invariant()
    def at_most_one_batch_of_a_key_is_open_and_each_counts_what_it_has(self) -> None:
        assert max(Counter(self.connection.execute(OPEN_KEYS).fetchall()).values(), default=1) == 1
        for batch, counted, found in self.connection.execute(COUNTS):
            assert counted == found, f"batch {batch} counts {counted} events and has {found}"

    @invariant()
    def what_is_sealed_is_a_digest_of_the_events_alone(self) -> None:
        for key, sealed in self.sealed().items():
            if key not in self.tainted:
                expected = Counter(self.expected(key))
                assert Counter(sealed) <= expected, f"{key}: {sealed} are not among {expected}"

    def sealed(self) -> dict[Key, list[tuple[int, ...]]]:
        """Return the digests of each key that were sent; none has other events than when it was frozen."""
        found: dict[Key, list[tuple[int, ...]]] = defaultdict(list)
        for batch, policy, recipient, tenant, key, items, frozen in self.connection.execute(SEALED):
            assert items == frozen, f"batch {batch} has other events than were sent"
            if items:
                found[policy, recipient, tenant, key].append(tuple(items))
        return found

    def expected(self, key: Key) -> list[tuple[int, ...]]:
        return contents(RULES[key[0]], [event for event in self.told if event.key == key])

    def teardown(self) -> None:
        """In the end everything is sent: each event in one digest, and in that where it belongs by its time."""
        self.sets_the_clock(FAR)
        for bucket in BUCKETS:
            self.serves(bucket, 100, Fate.NONE, False, {})
        self.each_event_is_in_one_place()
        sealed = self.sealed()
        sent = [id_ for digests in sealed.values() for ids in digests for id_ in ids]
        assert sorted(sent) == sorted(event.id for event in self.told if event.is_content)
        for key in {event.key for event in self.told} - self.tainted:
            assert sorted(sealed.get(key, [])) == self.expected(key), key


def _order(event: Told) -> tuple[datetime, int]:
    return event.order
