"""What providers tell later, and what becomes of deliveries by it: in any order, at any time, behind the fence."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest

from pgsupervise.partitions import deliveries, leases, provider_events, reclaim, workers
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.deliveries import DeliveryClaim, SentDelivery
from pgsupervise.partitions.provider_events import Proven, Settled
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState
from tests.integration.world import one, owner_of

Connect = Callable[[], psycopg.Connection]
ADA = "ada@example.com"
BUCKET = bucket_of(ADA)
MINUTE, GRACE = timedelta(minutes=1), timedelta(minutes=15)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADD = """
INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload)
VALUES (%s, %s, %s, %s, 'mail', '{}')
RETURNING id
"""
TELL = """
INSERT INTO pgsupervise_providerevent (bucket, event_id, kind, delivery_id, attempt, address, occurred_at, received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, now() - %s)
"""
GRACE_ENDS = """
UPDATE pgsupervise_delivery SET finished_at = finished_at - %s, unknown_until = now() WHERE state = 'UNKNOWN'
"""


class World:
    """One bucket with its owner, its deliveries and what is told of them."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.owner, epochs = owner_of(connection, BUCKET)
        self.epoch = epochs[BUCKET]
        self._numbers = count(1)

    def delivery(self, policy: str = "reconciled") -> int:
        """Add a delivery that waits to be sent."""
        number: int = one(self.connection, ADD, BUCKET, next(self._numbers), policy, ADA)
        return number

    def claim(self) -> list[ClaimedDelivery]:
        self.connection.execute(
            "UPDATE pgsupervise_delivery SET state = 'PENDING', not_before = now() WHERE state = 'RETRYING'"
        )
        claim = DeliveryClaim(BUCKET, self.epoch, ["mail"], 10)
        (claimed,) = deliveries.claim_deliveries(self.connection, self.owner, [claim])
        return claimed

    def finish(self, claimed: ClaimedDelivery, state: DeliveryState, **more: Any) -> None:
        sent = [SentDelivery(claimed, state, error=more.pop("error", "timeout"), **more)]
        assert deliveries.finish_deliveries(self.connection, self.owner, {(BUCKET, self.epoch): sent}) == {claimed.id}

    def unknown(self, policy: str = "reconciled", grace: timedelta = GRACE) -> int:
        """Add a delivery, and let its first attempt be of unknown fate."""
        number = self.delivery(policy)
        (claimed,) = self.claim()
        self.finish(claimed, DeliveryState.UNKNOWN, delay=grace)
        return number

    def tell(
        self, delivery: int, kind: str, attempt: int = 1, at: datetime | None = None, ago: timedelta = timedelta(0)
    ) -> None:
        when = at or one(self.connection, "SELECT now() - %s", ago)
        event = [BUCKET, f"e{next(self._numbers)}", kind, delivery, attempt, ADA, when, ago]
        self.connection.execute(TELL, event)

    def take_note(self, limit: int = 100, epoch: int | None = None) -> list[Proven]:
        return provider_events.take_note(
            self.connection, bucket=BUCKET, owner=self.owner, epoch=epoch or self.epoch, limit=limit
        )[1]

    def settle(self, resend: Sequence[str] = (), **more: Any) -> list[Settled]:
        return provider_events.settle_unknown(
            self.connection,
            bucket=BUCKET,
            owner=self.owner,
            epoch=more.get("epoch", self.epoch),
            resend_policies=resend,
            reconcile_policies=["reconciled"],
            most_attempts=more.get("most", 12),
            limit=100,
        )

    def grace_ends(self) -> None:
        self.connection.execute(GRACE_ENDS, [GRACE])

    def row(self, number: int, columns: str = "state") -> Any:
        return one(self.connection, f"SELECT {columns} FROM pgsupervise_delivery WHERE id = {number}")  # noqa: S608

    def known(self, number: int) -> Any:
        return self.row(number, "proven_attempts, provider_status, delivered_at, duplicates")


@pytest.fixture
def world(connect: Connect) -> World:
    return World(connect())


def test_one_whose_fate_is_unknown_waits_for_the_provider_or_for_a_person(world: World) -> None:
    waiting, held = world.unknown(), world.unknown("held", timedelta(0))
    assert world.row(waiting, "state, unknown_until = finished_at + '15 min', error") == ("UNKNOWN", True, "timeout")
    assert world.row(held, "state, unknown_until, error") == ("UNKNOWN", None, "timeout")
    assert world.claim() == [], "no claim sees them"
    assert provider_events.probe_provider(world.connection, world.owner) == []


@pytest.mark.parametrize("kind", provider_events.TELLING)
@pytest.mark.parametrize("policy", ["reconciled", "held"])
def test_whatever_the_provider_tells_proves_that_it_has_taken_the_message(world: World, kind: str, policy: str) -> None:
    number = world.unknown(policy)
    world.tell(number, kind)
    assert provider_events.probe_provider(world.connection, world.owner) == [BUCKET]
    assert world.take_note() == [Proven(number, policy, "UNKNOWN", 0)]
    assert world.row(number, "state, unknown_until, error") == ("ACCEPTED", None, "")
    assert world.known(number)[:2] == ([1], kind)
    assert provider_events.probe_provider(world.connection, world.owner) == []
    assert world.take_note() == []


@pytest.mark.parametrize("state", ["RETRYING", "WAITING", "REFUSED", "SKIPPED", "ACCEPTED"])
def test_a_proof_stands_whatever_was_thought_of_the_attempt(world: World, state: DeliveryState) -> None:
    number = world.delivery()
    (claimed,) = world.claim()
    world.finish(claimed, DeliveryState(state), delay=MINUTE, until=NOON)
    world.tell(number, "delivered", at=NOON)
    world.take_note()
    assert world.row(number) == "ACCEPTED"
    assert world.known(number) == ([1], "delivered", NOON, 0)
    assert world.claim() == []


@pytest.mark.parametrize("state", [state for state in DeliveryState if state != DeliveryState.SENDING])
def test_what_is_told_before_the_sender_has_written_its_outcome_decides_it(world: World, state: DeliveryState) -> None:
    number = world.delivery()
    (claimed,) = world.claim()
    world.tell(number, "processed")
    assert [one.was for one in world.take_note()] == ["SENDING"]
    assert world.row(number) == "SENDING", "its sender has it"
    world.finish(claimed, state, delay=MINUTE, until=NOON)
    assert world.row(number, "state, unknown_until, error, finished_at IS NULL") == ("ACCEPTED", None, "", False)


def test_what_is_told_and_not_yet_taken_note_of_goes_before_the_end_of_the_grace(world: World) -> None:
    number = world.unknown()
    world.grace_ends()
    world.tell(number, "processed")
    assert world.settle() == []
    world.take_note()
    assert world.row(number) == "ACCEPTED"


@pytest.mark.parametrize(
    ("proven", "policies", "expected"),
    [
        (True, {}, ("ACCEPTED", False, True)),
        (False, {"resend_policies": ["reconciled"]}, ("PENDING", False, False)),
        (
            False,
            {"resend_policies": ["reconciled"], "waits": reclaim.UnknownWaits(resend_after=MINUTE)},
            ("RETRYING", False, False),
        ),
        (False, {}, ("UNKNOWN", False, True)),
        (False, {"waits": reclaim.UnknownWaits(MINUTE, ["reconciled"], GRACE, ["mail"])}, ("UNKNOWN", True, True)),
        (False, {"waits": reclaim.UnknownWaits(MINUTE, ["reconciled"], GRACE, ["other"])}, ("UNKNOWN", False, True)),
    ],
)
def test_a_killed_call_is_unknown_unless_the_provider_has_told(
    world: World, proven: bool, policies: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    number = world.delivery()
    world.claim()
    if proven:
        world.tell(number, "processed")
        world.take_note()
    workers.bury_worker(world.connection, world.owner, "signal:SIGKILL", None)
    leases.free_leases_of_the_dead(world.connection)
    found = reclaim.reclaim(world.connection, **{"safe_channels": [], "resend_policies": [], **policies})
    assert found.unknown_deliveries == (expected[0] == "UNKNOWN")
    columns = "state, unknown_until IS NOT NULL, finished_at IS NOT NULL"
    assert world.row(number, columns) == expected


@pytest.mark.parametrize("proven", [True, False])
def test_a_claim_whose_reply_was_lost_goes_back_unless_the_provider_has_told_of_an_earlier_attempt(
    world: World, proven: bool
) -> None:
    number = world.delivery()
    (claimed,) = world.claim()
    world.finish(claimed, DeliveryState.RETRYING)
    assert world.claim() != []
    if proven:
        world.tell(number, "processed", attempt=1)
        world.take_note()
    assert deliveries.release_unheld_deliveries(world.connection, world.owner, []) == [number]
    expected = ("ACCEPTED", False, "") if proven else ("PENDING", True, "timeout")
    assert world.row(number, "state, finished_at IS NULL, error") == expected
    assert len(world.claim()) == (not proven)


def test_the_grace_ends_with_another_try_where_the_webhook_is_alive(world: World) -> None:
    number, other = world.unknown(), world.delivery("other")
    assert world.settle() == [], "the grace has not ended"
    world.grace_ends()
    world.tell(other, "delivered", ago=MINUTE)  # happened, and was told, after the attempt
    assert world.settle() == [Settled(number, "reconciled", True)]
    assert world.row(number, "state, unknown_until, finished_at, error") == ("PENDING", None, None, "timeout")
    (again,) = [claimed for claimed in world.claim() if claimed.id == number]
    assert again.attempt == 2
    assert world.settle() == []


@pytest.mark.parametrize("told", ["nothing", "before", "late"])
def test_the_grace_ends_with_a_person_where_nobody_knows_whether_the_webhook_is_alive(world: World, told: str) -> None:
    number, other = world.unknown(), world.delivery("other")
    world.grace_ends()
    if told == "before":
        world.tell(other, "delivered", ago=2 * GRACE)
    if told == "late":  # it came now, and tells of what was before the attempt
        world.tell(other, "delivered", at=NOON)
    world.take_note()
    assert world.settle(resend=["another"]) == [Settled(number, "reconciled", False)]
    assert world.row(number, "state, unknown_until, finished_at IS NULL") == ("UNKNOWN", None, False)
    world.tell(other, "delivered")
    assert world.settle() == [], "a person decides"
    world.tell(number, "processed")
    world.take_note()
    assert world.row(number) == "ACCEPTED", "unless the provider tells after all"


def test_the_grace_ends_by_what_the_policy_says_by_then_and_tries_come_to_an_end(world: World) -> None:
    first, second = world.unknown(), world.unknown("held")
    world.grace_ends()
    world.tell(world.delivery("other"), "delivered")
    assert [one.goes_again for one in world.settle(most=1)] == [False, False], "each was tried once"
    world.connection.execute("UPDATE pgsupervise_delivery SET unknown_until = now() WHERE state = 'UNKNOWN'")
    settled = {one.id: one.goes_again for one in world.settle(resend=["held"])}
    assert settled == {first: True, second: True}


def test_a_former_owner_takes_note_of_nothing_and_settles_nothing(world: World) -> None:
    number, told = world.unknown(), world.unknown()
    world.tell(told, "processed")
    world.grace_ends()
    assert world.take_note(epoch=world.epoch - 1) == []
    assert world.settle(epoch=world.epoch - 1) == []
    assert [world.row(each) for each in (number, told)] == ["UNKNOWN"] * 2
    assert [each.id for each in world.take_note()] == [told], "the owner does"


def test_two_attempts_that_both_report_are_a_duplicate_that_is_counted_once(world: World) -> None:
    number = world.unknown()
    world.grace_ends()
    world.tell(world.delivery("other"), "delivered")
    world.settle()
    claimed = next(each for each in world.claim() if each.id == number)
    world.tell(number, "processed", attempt=1)
    world.tell(number, "delivered", attempt=1, at=NOON)
    assert {each.id: each.new_duplicates for each in world.take_note()}[number] == 0
    world.finish(claimed, DeliveryState.UNKNOWN)
    world.tell(number, "processed", attempt=2)
    world.tell(number, "delivered", attempt=2, at=NOON + MINUTE)
    assert [each.new_duplicates for each in world.take_note()] == [1]
    world.tell(number, "unsubscribe", attempt=2)
    world.tell(number, "delivered", attempt=1)
    assert [each.new_duplicates for each in world.take_note()] == [0]
    assert world.known(number) == ([1, 2], "unsubscribe", NOON, 1)


def test_an_attempt_that_the_provider_itself_accepted_counts_without_an_event(world: World) -> None:
    number = world.delivery()
    (claimed,) = world.claim()
    world.finish(claimed, DeliveryState.RETRYING)
    (claimed,) = world.claim()
    world.finish(claimed, DeliveryState.ACCEPTED, provider_id="m2", error="")
    world.tell(number, "processed", attempt=2)
    assert [each.new_duplicates for each in world.take_note()] == [0]
    world.tell(number, "processed", attempt=1)
    assert [each.new_duplicates for each in world.take_note()] == [1]
    assert world.row(number, "state, provider_id, duplicates") == ("ACCEPTED", "m2", 1)


def test_an_attempt_of_which_nobody_has_told_is_no_duplicate(world: World) -> None:
    number = world.delivery()
    (claimed,) = world.claim()
    world.finish(claimed, DeliveryState.RETRYING)
    (claimed,) = world.claim()
    world.finish(claimed, DeliveryState.UNKNOWN)
    for kind in ("processed", "delivered"):
        world.tell(number, kind, attempt=1)
        assert [each.new_duplicates for each in world.take_note()] == [0]
    assert world.row(number, "state, attempt, duplicates") == ("ACCEPTED", 2, 0)


def test_the_order_and_the_pieces_in_which_events_come_make_no_difference(world: World) -> None:
    rand = random.Random(7)
    told = [
        ("processed", 1, NOON),
        ("deferred", 1, NOON + MINUTE),
        ("deferred", 1, NOON + 2 * MINUTE),
        ("delivered", 1, NOON + 3 * MINUTE),
        ("processed", 2, NOON + MINUTE),
        ("delivered", 2, NOON + 2 * MINUTE),
        ("bounce", 2, NOON + 9 * MINUTE),
    ]
    numbers = [world.unknown() for _ in range(12)]
    for number in numbers:
        for kind, attempt, at in rand.sample(told, len(told)):
            world.tell(number, kind, attempt, at)
            if rand.random() < 0.3:
                world.take_note(limit=rand.randint(1, 5))
    while world.take_note(limit=3):
        pass
    assert {str(world.known(number)) for number in numbers} == {str(([1, 2], "bounce", NOON + 2 * MINUTE, 1))}


def test_what_a_delivery_of_another_bucket_would_be_or_of_none_changes_nothing(world: World) -> None:
    number = world.unknown()
    world.tell(number + 1000, "processed")
    world.connection.execute(TELL, [(BUCKET + 1) % 256, "x", "processed", number, 1, ADA, NOON, MINUTE])
    assert world.take_note() == []
    assert world.row(number) == "UNKNOWN"
    assert provider_events.probe_provider(world.connection, world.owner) == []


def test_old_events_are_deleted_a_chunk_at_a_time(world: World) -> None:
    number = world.delivery()
    for days in (1, 4, 5, 6):
        world.tell(number, "processed", ago=timedelta(days=days))
    deleted = [provider_events.delete_provider_events(world.connection, timedelta(days=3), 2) for _ in range(3)]
    assert deleted == [2, 1, 0]
    assert one(world.connection, "SELECT count(*) FROM pgsupervise_providerevent") == 1
