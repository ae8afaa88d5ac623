"""A call of the API beside the bare INSERT of the same columns, through the same Django connection."""

from collections.abc import Callable
from itertools import count

from django.db import connection

from pgsupervise.django_app.notifications import notify
from pgsupervise.partitions.buckets import bucket_of
from tests.bench.own.project.tasks import count as counted

Call = Callable[[int], object]

_TASK = """
INSERT INTO pgsupervise_task (bucket, name, key, args, kwargs, priority, max_attempts)
VALUES (%s, %s, %s, %s::jsonb, %s::jsonb, %s, %s) RETURNING id
"""
_EVENT = """
INSERT INTO pgsupervise_event (bucket, policy, recipient, key, actor, object, data)
VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb) RETURNING id
"""
RECIPIENTS = 1_000
_ADDRESSES = [f"user{number}@example.com" for number in range(RECIPIENTS)]
_BUCKETS = [bucket_of(address) for address in _ADDRESSES]
_anything = count()


def bare_task(number: int) -> object:
    """Insert what `enqueue()` inserts."""
    values: list[int | str] = [
        next(_anything) % 256,
        "tests.bench.own.project.tasks.count",
        "",
        f"[{number}]",
        "{}",
        0,
        5,
    ]
    return _insert(_TASK, values)


def enqueue(number: int) -> object:
    """Enqueue one task."""
    return counted.enqueue(number)


def bare_event(number: int) -> object:
    """Insert what `notify()` inserts."""
    who = number % RECIPIENTS
    return _insert(_EVENT, [_BUCKETS[who], "lean", _ADDRESSES[who], "", "Bob", "", "{}"])


def notify_one_of_many(number: int) -> object:
    """Notify one of a thousand recipients."""
    return notify("lean", _ADDRESSES[number % RECIPIENTS], actor="Bob")


def notify_the_hot_one(number: int) -> object:
    """Notify always the same recipient."""
    return notify("lean", _ADDRESSES[0], actor="Bob")


CALLS: dict[str, Call] = {
    "bare_task": bare_task,
    "enqueue": enqueue,
    "bare_event": bare_event,
    "notify": notify_one_of_many,
    "notify_hot": notify_the_hot_one,
}


def _insert(statement: str, values: list[int | str]) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]
