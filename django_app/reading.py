"""Reading: what a recipient has seen elsewhere leaves its pending digest, in the same transaction."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from django.db import models
from django.db.backends.utils import CursorWrapper

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.statements import load

from .abouts import about_of
from .taking_out import Locked, columns, cursor_in_transaction, lock_events, still_open
from .texts import check_text, shorten

CHUNK = 1000


class Read(NamedTuple):
    """How many events were marked as read, and how many of these have left a digest with that."""

    marked: int
    left_out: int


def mark_read(recipient: str, events: Iterable[int] | Literal["all"]) -> Read:
    """Note, in the caller's transaction, that a recipient has seen some of its events.

    "all" is every one that it was not sent yet, so that what is read does not grow with the recipient's history. Ids
    that are not the recipient's are passed over, so they may come from its browser. What is in no message yet will not
    be in one: it is FILTERED, with the reason "read". Of what is sealed only the time is noted, which is looked at once
    more before it is sent. Waits and raises as `retract` does; TypeError for ids that are no ints.
    """
    check_text(recipient, "recipient", 320, required=True)
    bucket = bucket_of(recipient)
    given: object = events
    if not isinstance(given, Iterable) or (isinstance(given, str) and given != "all"):
        raise TypeError(f'events is {shorten(events)}: give the ids of events, or "all"')
    read = Read(0, 0)
    with cursor_in_transaction() as cursor:
        if events == "all":
            cursor.execute(load("unread_events"), {"bucket": bucket, "recipient": recipient})
            ids = [id_ for (id_,) in cursor.fetchall()]
        else:
            ids = _checked(events)
        ids.sort()
        for start in range(0, len(ids), CHUNK):
            chunk = {"bucket": bucket, "recipient": recipient, "ids": ids[start : start + CHUNK]}
            marked, left_out = _read(cursor, lock_events(cursor, "lock_unread_events", **chunk))
            read = Read(read.marked + marked, read.left_out + left_out)
    return read


def mark_about_read(recipient: str, instance: models.Model) -> Read:
    """Do as `mark_read` does with all that was told the recipient about an object."""
    check_text(recipient, "recipient", 320, required=True)
    about = about_of(instance, "instance", required=True)
    with cursor_in_transaction() as cursor:
        given = {"recipient": recipient, "bucket": bucket_of(recipient)}
        return _read(
            cursor, lock_events(cursor, "lock_events_about", about_type=about.type, about_id=about.id, **given)
        )


def _read(cursor: CursorWrapper, events: Sequence[Locked]) -> Read:
    if not events:
        return Read(0, 0)
    out = {event.id for event in still_open(cursor, events)}
    cursor.execute(load("read_events"), {**columns(events), "outs": [event.id in out for event in events]})
    return Read(cursor.rowcount, len(out))


def _checked(events: Iterable[int]) -> list[int]:
    ids = list(events)
    for id_ in ids:
        given: object = id_
        if not isinstance(given, int) or isinstance(given, bool):
            raise TypeError(f"an event's id is {shorten(given)} ({type(given).__name__}): it must be an int")
    return [id_ for id_ in set(ids) if 0 < id_ < 2**63]
