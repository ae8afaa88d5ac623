"""Rows that a caller's open transaction holds: the owner of a bucket leaves them for later, and does not wait."""

from collections.abc import Iterable
from uuid import UUID

import psycopg

from . import arrays
from .connection import Connection
from .errors import LeaseLostError
from .leases import ask_for_lease
from .round_trips import sent_together
from .statements import load

HELD = (psycopg.errors.LockNotAvailable, psycopg.errors.DivisionByZero)
"""What a fold or a seal fails with: a row is held, or was changed since it was read. Nothing was written then."""


class HeldError(Exception):
    """Nothing was written: others hold, or have changed, rows of these recipients; of none where all is free again."""

    def __init__(self, recipients: Iterable[str]) -> None:
        self.recipients = frozenset(recipients)
        super().__init__(f"rows of {len(self.recipients)} recipients are held or have changed")


def who_is_held(
    connection: Connection,
    *,
    bucket: int,
    owner: UUID,
    epoch: int,
    events: Iterable[int] = (),
    batches: Iterable[int] = (),
    rendered: Iterable[int] = (),
) -> HeldError:
    """Return the error for the recipients of whose rows others hold some, or have taken `rendered` items out.

    Raises LeaseLostError when the bucket is no longer held with this epoch.
    """
    found = []
    of_batches = {"bucket": bucket, "ids": arrays.numbers(batches), "item_ids": arrays.numbers(rendered)}
    with sent_together(connection):
        held = ask_for_lease(connection, bucket, owner, epoch)
        found.append(connection.execute(load("held_events"), {"bucket": bucket, "ids": arrays.numbers(events)}))
        found.append(connection.execute(load("held_batches"), of_batches))
        found.append(connection.execute(load("changed_batches"), of_batches))
    if not held():
        raise LeaseLostError(bucket, epoch)
    return HeldError(recipient for rows in found for (recipient,) in rows)
