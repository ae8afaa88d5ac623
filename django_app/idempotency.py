"""Events with an idempotency key: the unique index decides, so a second one is a row that was not written."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgsupervise.partitions.statements import load

_NAMES = (
    "bucket", "policy", "recipient", "key", "actor", "object", "data", "occurred_at",
    "tenant", "about_type", "about_id", "idempotency_key",
)  # fmt: skip
MOST_TRIES = 10


def insert_once(connection: BaseDatabaseWrapper, row: Sequence[Any]) -> int:
    """Write an event, unless its key is taken; return the id of the event that has the key.

    The values are in the order of notifications' columns. Raises RuntimeError where rows of the key come and vanish.
    """
    values = dict(zip(_NAMES, row, strict=True))
    with connection.cursor() as cursor:
        for _ in range(MOST_TRIES):
            # The first answers nothing where the key is taken. What it has waited for, if anything, is committed then,
            # and seen by a statement of its own; where it is gone again, the key is free.
            for statement in ("insert_keyed_event", "event_of_key"):
                cursor.execute(load(statement), values)
                if found := cursor.fetchone():
                    event_id: int = found[0]
                    return event_id
    raise RuntimeError(
        f"idempotency_key {values['idempotency_key']!a} comes and goes all the time: find out who deletes it"
    )


def insert_new(connection: BaseDatabaseWrapper, rows: Sequence[Sequence[Any]]) -> int:
    """Write those of the events whose key is not taken, and return how many. In their order, so that ids follow it."""
    columns = dict(zip(_NAMES, map(list, zip(*rows, strict=True)), strict=True))
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(load("insert_keyed_events"), columns)
        return int(cursor.rowcount)
