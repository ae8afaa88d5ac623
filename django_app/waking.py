"""Waking the workers that sleep until a task is enqueued for them; the protocol is in partitions/wakeups.py."""

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgsupervise.partitions.statements import load
from pgsupervise.partitions.wakeups import CHANNEL, LOCK_CLASS

# What to RETURN of an INSERT that is a transaction by itself, and its two parameters.
WAKING = f"CASE WHEN NOT pg_try_advisory_xact_lock_shared({LOCK_CLASS}, %s) THEN pg_notify(%s, '') END"

_written: WeakKeyDictionary[BaseDatabaseWrapper, set[int]] = WeakKeyDictionary()


def waking(bucket: int) -> tuple[int, str]:
    """Return the parameters of WAKING."""
    return bucket, f"{CHANNEL}{bucket}"


def wake(connection: BaseDatabaseWrapper, buckets: Iterable[int]) -> None:
    """Wake the owners of these buckets after the commit of the atomic() block in which tasks were written for them.

    By a statement of its own: the shares of the buckets' locks that it takes would keep owners awake for as long as the
    transaction is open. Where it fails the tasks are written all the same, and found by their owners' next look.
    """
    _written.setdefault(connection, set()).update(buckets)

    # Not a partial: where it fails, Django logs its qualified name, and those have none.
    def wake_written() -> None:
        """Wake for all that the transaction has written; the first of its callbacks does it for the others."""
        if written := _written.pop(connection, None):
            _notify(connection, written)

    transaction.on_commit(wake_written, using=connection.alias, robust=True)


def _notify(connection: BaseDatabaseWrapper, buckets: Iterable[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(load("wake_owners"), {"channel": CHANNEL, "lock": LOCK_CLASS, "buckets": list(buckets)})
