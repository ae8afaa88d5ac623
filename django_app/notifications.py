"""Notifications: what there is to tell a recipient.

`notify()` writes an event in the caller's transaction and touches no other row:

    notify("comments", recipient="ann@example.com", actor="Bob", object="Trip to Rome", data={"text": "Nice!"})
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgsupervise.partitions.buckets import bucket_of

from . import bulk, clock, idempotency, jsonvalues
from .abouts import about_of
from .bulk import copy_rows, write_connection
from .models import Event
from .models.notification import EARLIEST, LATEST
from .policies import Policy, registered
from .texts import check_text, shorten
from .times import check_aware

MAX_RECIPIENT = MAX_ACTOR = 320
MAX_OBJECT = 500
MAX_TENANT = 100
MAX_KEY = 200

_COLUMNS = "bucket, policy, recipient, key, actor, object, data"
# The commonest events have nothing in the other columns, and would only pay for them.
_MORE = "tenant, about_type, about_id, idempotency_key"
_VALUES = "%s, %s, %s, %s, %s, %s, %s::jsonb"
_INSERT = f"INSERT INTO pgsupervise_event ({_COLUMNS}) VALUES ({_VALUES}) RETURNING id"  # noqa: S608 - constants
_INSERT_AT = f"INSERT INTO pgsupervise_event ({_COLUMNS}, occurred_at) VALUES ({_VALUES}, %s::timestamptz) RETURNING id"  # noqa: S608
_INSERT_MORE = (
    f"INSERT INTO pgsupervise_event ({_COLUMNS}, occurred_at, {_MORE}) "  # noqa: S608 - constants
    f"VALUES ({_VALUES}, coalesce(%s::timestamptz, {clock.EVENT_TIME}), %s, %s, %s, %s) RETURNING id"
)
_INSERT_FROZEN = (
    f"INSERT INTO pgsupervise_event ({_COLUMNS}, occurred_at) VALUES ({_VALUES}, {clock.EVENT_TIME}) RETURNING id"  # noqa: S608
)
_COPY = f"COPY pgsupervise_event ({_COLUMNS}, occurred_at) FROM STDIN"
_COPY_MORE = f"COPY pgsupervise_event ({_COLUMNS}, occurred_at, {_MORE}) FROM STDIN"


class Notification(NamedTuple):
    """One thing to tell a recipient; `occurred_at` is an aware datetime, or None for the database's now().

    The other fields are those of `notify`.
    """

    recipient: str
    data: dict[str, Any] | None = None
    actor: str = ""
    object: str = ""
    occurred_at: datetime | None = None
    tenant: str = ""
    about: models.Model | None = None
    idempotency_key: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing in the rarer columns."""
        return self.tenant == "" and self.about is None and self.idempotency_key == ""


def notify(
    policy: Policy | str,
    recipient: str,
    data: dict[str, Any] | None = None,
    *,
    actor: str = "",
    object: str = "",  # noqa: A002 - the word that templates use
    occurred_at: datetime | None = None,
    tenant: str = "",
    about: models.Model | None = None,
    idempotency_key: str = "",
) -> int:
    """Write one event and return its id.

    `recipient` and `actor` have at most 320 characters, `object` 500, `tenant` 100, `data` is a JSON object of at most
    1,000,000 bytes. `about` is a saved object: what was told about it can be retracted, and marked as read, by it.

    An `idempotency_key` (at most 200 characters) is unique for a policy and a recipient as long as the event is kept: a
    second event with it writes nothing, whatever it says, and returns the first one's id, also where that one was
    retracted since. While another transaction that has written the same key is open this one waits for it. Under
    REPEATABLE READ and SERIALIZABLE a key that was committed since the transaction began raises a serialization failure
    (django.db.OperationalError), for nobody may see that row there: try the transaction again.

    Raises PolicyError for an unknown policy, TypeError or ValueError for other values, with the cure.
    """
    event = Notification(recipient, data, actor, object, occurred_at, tenant, about, idempotency_key)
    row = _row(registered(policy), event)
    more = _more(event)
    connection = write_connection(Event)
    if idempotency_key:
        return idempotency.insert_once(connection, [*row, *more])
    with connection.cursor() as cursor:
        if more:
            cursor.execute(_INSERT_MORE, [*row, *more])
        elif occurred_at is None:
            cursor.execute(_INSERT_FROZEN if clock.is_frozen() else _INSERT, row[:-1])
        else:
            cursor.execute(_INSERT_AT, row)
        event_id: int = cursor.fetchone()[0]
    return event_id


def notify_many(policy: Policy | str, events: Iterable[Notification]) -> int:
    """Write many events and return how many: all or none, much faster than one by one.

    `events` may be a generator, also one that queries the database. Those with an idempotency key that is taken, in the
    tables or by one before them, are neither written nor counted. Two transactions that write the same keys in
    different orders may deadlock, and one of them fails then: sort such events. Raises as `notify` does.
    """
    known = registered(policy)
    connection = write_connection(Event)
    written, rest = 0, iter(events)
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            # COPY knows no default for a single row: in this transaction it is what the column's default would say,
            # unless a test has frozen the clock.
            cursor.execute(f"SELECT {clock.EVENT_TIME}::text")
            now = cursor.fetchone()[0]
        while chunk := list(islice(rest, bulk.CHUNK)):
            written += _write(connection, known, chunk, now)
    return written


def _write(connection: BaseDatabaseWrapper, policy: Policy, chunk: list[Notification], now: str) -> int:
    """Write some events by the cheapest statement that holds all of them: they keep their order."""
    marked = [event for event in chunk if _is_marked(event)]
    if not marked:
        return copy_rows(connection, _COPY, chunk, lambda event: _row(policy, event, now))

    def wide(event: Notification) -> tuple[Any, ...]:
        return (*_row(policy, event, now), *(_more(event) or ("", "", "", "")))

    if any(event.idempotency_key for event in marked):
        return idempotency.insert_new(connection, [wide(event) for event in chunk])
    return copy_rows(connection, _COPY_MORE, chunk, wide)


def _is_marked(event: object) -> bool:
    return isinstance(event, Notification) and not event.is_plain  # what else there is `_row` refuses


def _more(event: Notification) -> tuple[str, ...]:
    """Return the rarer columns; an empty tuple where there is nothing in them."""
    if event.is_plain:
        return ()
    check_text(event.tenant, "tenant", MAX_TENANT)
    check_text(event.idempotency_key, "idempotency_key", MAX_KEY)
    return (event.tenant, *about_of(event.about), event.idempotency_key)


def _row(policy: Policy, event: Notification, now: str | None = None) -> tuple[Any, ...]:
    if not isinstance(event, Notification):
        raise TypeError(f"an event is {shorten(event)}: make it a Notification(recipient, data, actor, object)")
    recipient, data, actor, object_, occurred_at = event[:5]
    check_text(recipient, "recipient", MAX_RECIPIENT, required=True)
    check_text(actor, "actor", MAX_ACTOR)
    check_text(object_, "object", MAX_OBJECT)
    if occurred_at is not None:
        check_aware(occurred_at, "occurred_at", "None for now")
        if not EARLIEST <= occurred_at <= LATEST:
            raise ValueError(f"occurred_at is {occurred_at.isoformat()}: it must lie in the years 1900 to 2199")
    key = policy.key_of(event)
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
