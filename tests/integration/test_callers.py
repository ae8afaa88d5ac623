"""Callers meet nobody: any isolation level, any order of recipients, however many at once, and one batch in the end."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, connections, transaction

from pgsupervise.django_app.models import Batch, Event
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.retracting import Retraction, retract
from pgsupervise.partitions.marks import Marks
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, HOUR, NOON
from tests.integration.world import one
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="null"))
        yield World(connect)


def at_once(count: int, work: Callable[[int], None]) -> list[Exception]:
    """Run the work of many threads, all of which begin together; return what they raised."""
    gate, errors = threading.Barrier(count), list[Exception]()

    def run(number: int) -> None:
        try:
            gate.wait(60)
            work(number)
        except Exception as error:  # the test looks at all of them
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return errors


def isolated(level: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")


def test_a_hundred_first_events_of_a_key_open_one_batch(world: World) -> None:
    done = threading.Event()
    # All at once, where the server takes so many sessions.
    room = 100 if int(one(world.connection, "SHOW max_connections")) >= 150 else 50

    def owner() -> None:
        while not done.is_set():
            world.marks = Marks()
            world.flush(NOON + 30 * MINUTE)

    folding = threading.Thread(target=owner)
    folding.start()
    with transaction.atomic():
        notify("p", "warm-up")
    errors = at_once(room, lambda number: told_in(LEVELS[number % 3], number))
    errors += at_once(100 - room, lambda number: told_in(LEVELS[number % 3], number + room)) if room < 100 else []
    done.set()
    folding.join(60)
    world.marks = Marks()
    world.flush(NOON + 30 * MINUTE)
    assert errors == []
    assert Batch.objects.filter(recipient=ADA).values_list("item_count", "state").get() == (100, "OPEN")
    world.flush(NOON + 5 * HOUR, due=True)
    (digest,) = world.digests()
    assert len(set(digest)) == 100


def told_in(level: str, minute: int) -> None:
    with transaction.atomic():
        isolated(level)
        notify("p", ADA, occurred_at=NOON + minute * timedelta(seconds=1))


@pytest.mark.parametrize("level", LEVELS)
def test_many_recipients_in_random_order_neither_fail_nor_block(world: World, level: str) -> None:
    recipients = [ADA, *(f"user{n}" for n in range(30))]

    def caller(number: int) -> None:
        shuffled = random.Random(number).sample(recipients, len(recipients))
        with transaction.atomic():
            isolated(level)
            first = [notify("p", recipient, {"by": number}, occurred_at=NOON) for recipient in shuffled]
            notify_many("p", [Notification(recipient, occurred_at=NOON) for recipient in reversed(shuffled)])
            world_flushes(number)
            if level != "SERIALIZABLE":  # there whoever reads may be told to try again
                assert retract(first[0]) is Retraction.RETRACTED, "its own event, which nobody else can see"

    def world_flushes(number: int) -> None:
        if number == 0:  # the owner folds what others have committed, in the middle of an open transaction
            world.flush(NOON + 10 * MINUTE)

    assert at_once(16, caller) == []
    world.marks = Marks()
    world.flush(NOON + 30 * MINUTE)
    counts = Counter(Event.objects.values_list("recipient", flat=True))
    assert counts == dict.fromkeys(recipients, 32)
    states = Counter(Event.objects.filter(recipient=ADA).values_list("state", flat=True))
    assert states["FOLDED"] == Batch.objects.get().item_count
    assert states["FOLDED"] + states["RETRACTED"] == 32
