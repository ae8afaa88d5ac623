"""Retracting: the answer is what becomes of the event."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction

from pgsupervise.django_app.models import Delivery, Event
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.resolving import Resolution, resolve
from pgsupervise.django_app.retracting import Retraction, retract, retract_about
from pgsupervise.partitions.buckets import bucket_of
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, HOUR, NOON
from tests.integration.world import one
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
MINUTE = timedelta(minutes=1)
RETRACTED, SEALED, SENT, UNKNOWN = Retraction


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="null"))
        yield World(connect)


def told(minute: int = 0, **fields: Any) -> int:
    return notify("p", fields.pop("recipient", ADA), occurred_at=NOON + minute * MINUTE, **fields)


def state(event_id: int) -> tuple[str, int | None]:
    return Event.objects.values_list("state", "batch_id").get(pk=event_id)


def sealed_items(world: World) -> list[int]:
    return [item for digest in world.digests() for item in digest]


def in_a_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start what needs a connection of its own; the answer is in the list when the thread has ended."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(work())
        except Exception as error:  # the test looks at it
            answers.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, answers


def test_an_event_is_taken_back_before_and_after_it_is_folded_and_not_after_the_seal(world: World) -> None:
    early, folded, stays = told(0), told(1), told(2)
    assert retract(early) is RETRACTED
    world.flush(NOON + 30 * MINUTE)
    assert retract(folded) is RETRACTED
    assert retract(folded) is RETRACTED, "asking twice is asking once"
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[stays]]
    assert retract(stays) is SENT, "the channel null takes it with the seal"
    world.connection.execute("UPDATE pgsupervise_delivery SET state = 'PENDING', finished_at = NULL")
    assert retract(stays) is SEALED
    for tried, attempt in (("PENDING", 1), ("SKIPPED", 1), ("REFUSED", 2)):
        world.connection.execute("UPDATE pgsupervise_delivery SET state = %s, attempt = %s", [tried, attempt])
        assert retract(stays) is SENT, "nobody knows what became of the try before"
    world.connection.execute("UPDATE pgsupervise_delivery SET attempt = 1")
    assert retract(stays) is SEALED, "it was refused at once"
    world.connection.execute("UPDATE pgsupervise_delivery SET copies = 1")
    assert retract(stays) is SENT, "its worker was killed in the only try that was begun"
    world.connection.execute("UPDATE pgsupervise_delivery SET copies = 0")
    world.connection.execute("UPDATE pgsupervise_delivery SET state = 'UNKNOWN'")
    resolve([Delivery.objects.get().pk], Resolution.REFUSE, "ann")
    assert retract(stays) is SENT, "a person has refused to send it again"
    assert state(stays)[0] == "FOLDED"
    assert retract(early) is RETRACTED
    assert retract(10**9) is retract(2**70) is UNKNOWN


def test_an_event_is_named_by_its_key(world: World) -> None:
    event_id = told(idempotency_key="order-7")
    assert retract(policy="p", recipient="bob", idempotency_key="order-7") is UNKNOWN
    assert retract(policy=Policy(name="p", window=HOUR), recipient=ADA, idempotency_key="order-7") is RETRACTED
    assert state(event_id) == ("RETRACTED", None)


def test_a_digest_of_nothing_but_retracted_events_is_none(world: World) -> None:
    event_id = told()
    world.flush(NOON + MINUTE)
    assert retract(event_id) is RETRACTED
    world.flush(NOON + 2 * HOUR, due=True)
    assert state(event_id)[0] == "RETRACTED"
    assert event_id not in sealed_items(world)


def test_the_callers_rollback_takes_the_retraction_back(world: World) -> None:
    first, second = told(0), told(1)
    with transaction.atomic():
        assert retract(first) is RETRACTED
        transaction.set_rollback(True)
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[first, second]]


def test_all_about_an_object_is_taken_back(world: World) -> None:
    trip, other = Group.objects.create(name="trip"), Group.objects.create(name="other")
    late = told(0, about=trip)
    world.flush(NOON + 5 * HOUR, due=True)
    world.connection.execute("UPDATE pgsupervise_delivery SET state = 'PENDING', finished_at = NULL")
    folded = told(6 * 60, about=trip)
    world.flush(NOON + 6 * HOUR)
    written = notify_many("p", [Notification(f"user{n}", about=trip) for n in range(30)])
    kept = told(6 * 60, about=other)
    assert written == 30
    assert retract_about(trip) == {SEALED: 1, RETRACTED: 31}
    assert retract_about(trip) == {SEALED: 1, RETRACTED: 31}
    assert (state(late)[0], state(folded)[0], state(kept)[0]) == ("FOLDED", "RETRACTED", "PENDING")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ValueError, "give one"),
        ({"event_id": 7, "policy": "p"}, ValueError, "recipient and idempotency_key missing"),
        ({"event_id": "7"}, TypeError, r"event_id is '7' \(str\): it must be an int"),
        ({"event_id": True}, TypeError, "it must be an int"),
        ({"policy": "p", "recipient": ADA}, ValueError, "idempotency_key missing"),
        ({"policy": 7}, TypeError, "policy is 7"),
    ],
)
def test_other_values_are_refused_with_the_cure(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        retract(**given)


def test_what_is_about_nothing_saved_is_refused(world: World) -> None:
    for wrong, error, words in (
        (Group(name="new"), ValueError, "save it first"),
        ("docs.Comment", TypeError, "must be a saved instance"),
    ):
        with pytest.raises(error, match=words):
            notify("p", ADA, about=wrong)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(error, match=words):
            retract_about(wrong)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="instance is None"):
        retract_about(None)  # type: ignore[arg-type]  # wrong on purpose
    assert one(world.connection, "SELECT count(*) FROM pgsupervise_event") == 0


def test_a_key_names_the_event_of_one_policy_and_one_recipient(world: World) -> None:
    register(Policy(name="other", window=HOUR, channel="null"))
    neighbour = next(name for number in count() if bucket_of(name := f"user{number}@example.com") == bucket_of(ADA))
    others = [told(recipient=neighbour, idempotency_key="k"), notify("other", ADA, idempotency_key="k")]
    event = told(idempotency_key="k")
    assert retract(policy="p", recipient=ADA, idempotency_key="k") is RETRACTED
    assert [state(each) for each in [event, *others]] == [("RETRACTED", None), ("PENDING", None), ("PENDING", None)]
