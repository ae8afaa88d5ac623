"""Notifications: what there is to tell a recipient.

`notify()` writes an event in the caller's transaction and touches no other row:

    notify("comments", recipient="ann@example.com", actor="Bob", object="Trip to Rome", data={"text": "Nice!"})
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from pgsupervise.partitions.buckets import bucket_of

from . import clock, jsonvalues
from .bulk import copy_rows, write_connection
from .models import Event
from .models.notification import EARLIEST, LATEST
from .policies import Policy, registered
from .texts import check_text, shorten
from .times import check_aware

MAX_RECIPIENT = MAX_ACTOR = 320
MAX_OBJECT = 500

_COLUMNS = "bucket, policy, recipient, key, actor, object, data"
_VALUES = "%s, %s, %s, %s, %s, %s, %s::jsonb"
_INSERT = f"INSERT INTO pgsupervise_event ({_COLUMNS}) VALUES ({_VALUES}) RETURNING id"  # noqa: S608 - constants
_INSERT_AT = f"INSERT INTO pgsupervise_event ({_COLUMNS}, occurred_at) VALUES ({_VALUES}, %s::timestamptz) RETURNING id"  # noqa: S608
_INSERT_FROZEN = (
    f"INSERT INTO pgsupervise_event ({_COLUMNS}, occurred_at) VALUES ({_VALUES}, {clock.EVENT_TIME}) RETURNING id"  # noqa: S608
)
_COPY = f"COPY pgsupervise_event ({_COLUMNS}, occurred_at) FROM STDIN"


class Notification(NamedTuple):
    """One thing to tell a recipient; `occurred_at` is an aware datetime, or None for the database's now()."""

    recipient: str
    data: dict[str, Any] | None = None
    actor: str = ""
    object: str = ""
    occurred_at: datetime | None = None


def notify(
    policy: Policy | str,
    recipient: str,
    data: dict[str, Any] | None = None,
    *,
    actor: str = "",
    object: str = "",  # noqa: A002 - the word that templates use
    occurred_at: datetime | None = None,
) -> int:
    """Write one event and return its id.

    `recipient` and `actor` have at most 320 characters, `object` 500, `data` is a JSON object of at most 1,000,000
    bytes. Raises PolicyError for an unknown policy, TypeError or ValueError for other values, with the cure.
    """
    row = _row(registered(policy), Notification(recipient, data, actor, object, occurred_at))
    with write_connection(Event).cursor() as cursor:
        if occurred_at is None:
            cursor.execute(_INSERT_FROZEN if clock.is_frozen() else _INSERT, row[:-1])
        else:
            cursor.execute(_INSERT_AT, row)
        event_id: int = cursor.fetchone()[0]
    return event_id


def notify_many(policy: Policy | str, events: Iterable[Notification]) -> int:
    """Write many events and return how many: all or none, much faster than one by one.

    `events` may be a generator, also one that queries the database. Raises as `notify` does.
    """
    known = registered(policy)
    connection = write_connection(Event)
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            # COPY knows no default for a single row: in this transaction it is what the column's default would say,
            # unless a test has frozen the clock.
            cursor.execute(f"SELECT {clock.EVENT_TIME}::text")
            now = cursor.fetchone()[0]
        return copy_rows(connection, _COPY, events, lambda event: _row(known, event, now))


def _row(policy: Policy, event: Notification, now: str | None = None) -> tuple[Any, ...]:
    if not isinstance(event, Notification):
        raise TypeError(f"an event is {shorten(event)}: make it a Notification(recipient, data, actor, object)")
    recipient, data, actor, object_, occurred_at = event
    check_text(recipient, "recipient", MAX_RECIPIENT, required=True)
    check_text(actor, "actor", MAX_ACTOR)
    check_text(object_, "object", MAX_OBJECT)
    if occurred_at is not None:
        check_aware(occurred_at, "occurred_at", "None for now")
        if not EARLIEST <= occurred_at <= LATEST:
            raise ValueError(f"occurred_at is {occurred_at.isoformat()}: it must lie in the years 1900 to 2199")
    key = object_ if policy.key == "object" else ""
    # As text: psycopg writes a datetime in Python, which in bulk costs as much as the rest of the row.
    at = occurred_at.isoformat() if occurred_at else now
    return bucket_of(recipient), policy.name, recipient, key, actor, object_, _json(data), at


def _json(data: dict[str, Any] | None) -> str:
    if not data and (data is None or isinstance(data, dict)):
        return "{}"
    if not isinstance(data, dict):
        raise TypeError(f"data is {shorten(data)} ({type(data).__name__}): it must be a JSON object, a dict")
    try:
        text = jsonvalues.dumps(data)
    except TypeError as error:
        raise TypeError(jsonvalues.fault(data, "data") or str(error)) from None
    size = jsonvalues.byte_length(text)
    if size > jsonvalues.MAX_BYTES:
        raise ValueError(f"data is {jsonvalues.oversize(size)}")
    return text
