"""Retracting while the owner folds and seals: nobody waits for an open transaction, and every answer stays true."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from pgsupervise.django_app.models import Batch, Event
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.retracting import Retraction, retract
from pgsupervise.partitions import batches, events
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.known import read_known
from pgsupervise.partitions.marks import Marks
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, BUCKET, HOUR, NOON
from tests.integration.test_retracting import MINUTE, RETRACTED, SEALED, SENT, in_a_thread, sealed_items, state, told
from tests.integration.world import one
from tests.registries import own_registries
from tests.waiting import wait_until

Connect = Callable[[], psycopg.Connection]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="null"))
        yield World(connect)


def test_the_owner_waits_for_no_caller_and_seals_the_others_meanwhile(world: World) -> None:
    bob = next(f"user{n}" for n in range(5000) if bucket_of(f"user{n}") == BUCKET)
    mine, other = told(0), told(0, recipient=bob)
    world.flush(NOON + MINUTE)
    with transaction.atomic():
        assert retract(mine) is RETRACTED
        world.flush(NOON + 5 * HOUR, due=True)
        assert world.digests() == [[other]], "ada's batch is held, bob's is not"
        world.marks = Marks()
        world.flush(NOON + 5 * HOUR, due=True)
        assert world.digests() == [[other]]
    world.marks = Marks()
    world.flush(NOON + 5 * HOUR, due=True)
    assert state(mine)[0] == "RETRACTED"
    assert mine not in sealed_items(world)


def test_a_batch_that_was_held_is_sealed_when_the_caller_rolls_back(world: World) -> None:
    first, second = told(0), told(1)
    world.flush(NOON + 30 * MINUTE)
    with transaction.atomic():
        assert retract(first) is RETRACTED
        world.flush(NOON + 5 * HOUR, due=True)
        transaction.set_rollback(True)
    assert world.digests() == []
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [], "the marks of this second leave ada alone"
    world.marks = Marks()
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[first, second]]


def test_a_recipient_with_a_held_pending_event_is_neither_folded_nor_sealed(world: World) -> None:
    bob = next(f"user{n}" for n in range(5000) if bucket_of(f"user{n}") == BUCKET)
    opener, other = told(0), told(0, recipient=bob)
    world.flush(NOON + MINUTE)
    held, later = told(30), told(40)
    with transaction.atomic():
        assert retract(held) is RETRACTED
        world.flush(NOON + 5 * HOUR, due=True)
        assert state(later) == ("PENDING", None), "it would have been folded before the earlier one"
        assert world.digests() == [[other]], "sealed without the held event, ada's digest would depend on the caller"
        assert world.marks.folded == (NOON + 40 * MINUTE, later), "it is passed, or the owner would spin on it"
        transaction.set_rollback(True)
    world.marks = Marks()
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[other], [opener, held, later]]


def test_an_event_taken_back_between_reading_and_folding_is_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = told(0), told(10)
    answers = list[Any]()

    def meanwhile(*args: Any) -> Any:
        if not answers:
            answers.append(retract(first))
        return read_known(*args)

    monkeypatch.setattr(events, "read_known", meanwhile)
    world.flush(NOON + 30 * MINUTE)
    assert answers == [RETRACTED]
    assert Batch.objects.values_list("item_count", "opened_at").get() == (1, NOON + 10 * MINUTE), "the second opened it"
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[second]]


def test_an_event_taken_back_between_rendering_and_sealing_is_rendered_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = told(0), told(1)
    world.flush(NOON + 30 * MINUTE)
    seal, answers = batches.seal_batches, list[Any]()

    def meanwhile(*args: Any, **named: Any) -> int:
        if not answers:
            answers.append(retract(first))
        return seal(*args, **named)

    monkeypatch.setattr(batches, "seal_batches", meanwhile)
    world.flush(NOON + 5 * HOUR, due=True)
    assert (answers, world.digests()) == ([RETRACTED], []), "not sealed in that round"
    world.marks = Marks()
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[second]]


def test_who_asks_while_the_owner_seals_waits_and_is_told_that_it_is_sealed(world: World, connect: Connect) -> None:
    event_id, watching = told(), connect()
    world.flush(NOON + 30 * MINUTE)
    due = batches.due_batches(world.connection, bucket=BUCKET, policies=["p"], clock=NOON + 5 * HOUR).batches
    with world.connection.transaction():
        world.connection.execute("UPDATE pgsupervise_batch SET state = 'SEALED', sealed_at = now()")
        asking, answers = in_a_thread(lambda: retract(event_id))
        wait_until(lambda: watching.execute(WAITING).fetchone() == (1,), 10)
    asking.join(10)
    assert answers == [SEALED]
    assert len(due) == 1
    assert state(event_id)[0] == "FOLDED"


def test_who_asks_while_the_owner_folds_waits_and_takes_it_out_of_the_batch(world: World, connect: Connect) -> None:
    event_id, watching = told(), connect()
    batch_id = Batch.objects.create(
        policy="p", recipient=ADA, state="OPEN", opened_at=NOON, closes_at=NOON + HOUR, deliver_at=NOON + HOUR,
        item_count=1,
    ).pk  # fmt: skip
    with world.connection.transaction():
        world.connection.execute("UPDATE pgsupervise_event SET state = 'FOLDED', batch_id = %s", [batch_id])
        asking, answers = in_a_thread(lambda: retract(event_id))
        wait_until(lambda: watching.execute(WAITING).fetchone() == (1,), 10)
    asking.join(10)
    assert answers == [RETRACTED]
    assert state(event_id) == ("RETRACTED", batch_id)


def test_who_asks_while_the_owner_folds_and_seals_is_told_that_it_is_sealed(world: World, connect: Connect) -> None:
    event_id, watching = told(), connect()
    with world.connection.transaction():
        batch_id = one(
            world.connection,
            """INSERT INTO pgsupervise_batch (bucket, policy, recipient, state, opened_at, closes_at, deliver_at,
                item_count, sealed_at) VALUES (%s, 'p', %s, 'SEALED', now(), now(), now(), 1, now()) RETURNING id""",
            BUCKET,
            ADA,
        )
        world.connection.execute("UPDATE pgsupervise_event SET state = 'FOLDED', batch_id = %s", [batch_id])
        asking, answers = in_a_thread(lambda: retract(event_id))
        wait_until(lambda: watching.execute(WAITING).fetchone() == (1,), 10)
    asking.join(10)
    assert answers == [SEALED], "it was pending when it was asked, and is not any more"
    assert state(event_id) == ("FOLDED", batch_id)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_caller_with_a_snapshot_gets_the_truth_or_a_serialization_failure(world: World, level: str) -> None:
    folded, sealed, calm = told(0), told(1), told(2)
    with transaction.atomic():
        snapshot(level)
        assert retract(calm) is RETRACTED, "nothing has changed since"
    for event_id, at in ((folded, NOON + 30 * MINUTE), (sealed, NOON + 5 * HOUR)):
        with transaction.atomic():
            snapshot(level)
            world.flush(at, due=True)
            with pytest.raises(OperationalError, match="could not serialize"):
                retract(event_id)
            transaction.set_rollback(True)
    assert world.digests() == [[folded, sealed]]
    with transaction.atomic():
        snapshot(level)
        assert retract(sealed) is SENT


def snapshot(level: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        cursor.execute("SELECT 1 FROM pgsupervise_lease LIMIT 1")


def caller(own: list[int], answers: dict[int, Retraction], *, commits: bool) -> Callable[[], None]:
    """Take events back in transactions of four; only what was committed is an answer."""

    def run() -> None:
        for start in range(0, len(own), 4):
            with transaction.atomic():
                said = {number: retract(number) for number in own[start : start + 4]}
                transaction.set_rollback(not commits)
            if commits:
                answers.update(said)

    return run


def test_many_retract_while_the_owner_works_and_each_answer_is_what_became_of_it(world: World) -> None:
    numbers, answers = [told(minute) for minute in range(240)], dict[int, Retraction]()
    callers = [in_a_thread(caller(numbers[n::24], answers, commits=n % 4 != 3)) for n in range(12)]
    for hour in [*range(1, 8), 8]:
        if hour == 8:
            for thread, errors in callers:
                thread.join(60)
                assert errors == [None]
        world.marks = Marks()
        world.flush(NOON + hour * HOUR, due=True)
    sent, retracted = sealed_items(world), {number for number, said in answers.items() if said is RETRACTED}
    assert len(answers) == 90
    assert len(sent) == len(set(sent))
    assert set(sent) == set(numbers) - retracted, "what is not taken back is sealed, whatever was answered about it"
    assert {number for number, said in Event.objects.values_list("id", "state") if said == "RETRACTED"} == retracted


def test_a_server_whose_transactions_are_repeatable_by_default_changes_nothing(world: World) -> None:
    world.connection.execute("SET default_transaction_isolation = 'repeatable read'")
    event_id, gone = told(0), told(1)
    assert retract(gone) is RETRACTED
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[event_id]]
