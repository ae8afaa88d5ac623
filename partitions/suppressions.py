"""The suppression list: addresses to which nothing is sent any more, each with its reasons."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from . import arrays
from .connection import Connection
from .round_trips import sent_together
from .statements import load
from .states import SuppressionReason


class Key(NamedTuple):
    """What is suppressed; two spellings of one mailbox are one key."""

    kind: str
    address: str


class NewSuppression(NamedTuple):
    """A reason not to write to an address; `occurred_at` is None for now."""

    key: Key
    reason: SuppressionReason
    note: str = ""
    event_id: str = ""
    occurred_at: datetime | None = None


Found = Mapping[Key, Sequence[SuppressionReason]]
"""Those keys that are suppressed."""


class AnyCursor(Protocol):
    """A cursor of psycopg's or of Django's."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: Any, params: Any, /) -> Any: ...


def key_of(kind: str, address: str) -> Key:
    """Return under which key an address stands in the list.

    No provider tells mailboxes apart by upper and lower case, whatever RFC 5321 (2.4) allows, and SendGrid's events
    spell addresses in lower case. Addresses are ASCII here, so that PostgreSQL's lower() agrees.
    """
    return Key(kind, address.lower())


def suppressed(connection: Connection, keys: Iterable[Key]) -> Found:
    """Return those of the keys that are suppressed, with their reasons, the oldest first; one round trip."""
    with sent_together(connection):
        answer = ask_for_suppressed(connection, keys)
    return answer()


def ask_for_suppressed(connection: Connection, keys: Iterable[Key]) -> Callable[[], Found]:
    """Ask which of the keys are suppressed without waiting for the answer: what is returned waits for it."""
    asked = list(dict.fromkeys(keys))
    parameters = {
        "kinds": arrays.texts(key.kind for key in asked),
        "addresses": arrays.texts(key.address for key in asked),
    }
    rows = connection.execute(load("suppressions"), parameters) if asked else ()

    def answer() -> Found:
        found: dict[Key, list[SuppressionReason]] = defaultdict(list)
        for _, kind, address, reason in sorted(rows):
            found[Key(kind, address)].append(SuppressionReason(reason))
        return found

    return answer


def insert_suppressions(cursor: AnyCursor, new: Sequence[NewSuppression]) -> int:
    """Add reasons to the list in the cursor's transaction; return how many were not there yet."""
    if not new:
        return 0
    parameters = {
        "kinds": arrays.texts(one.key.kind for one in new),
        "addresses": arrays.texts(one.key.address for one in new),
        "reasons": arrays.texts(one.reason for one in new),
        "notes": arrays.texts(one.note for one in new),
        "event_ids": arrays.texts(one.event_id for one in new),
        "times": arrays.times_or_null(one.occurred_at for one in new),
    }
    cursor.execute(load("insert_suppressions"), parameters)
    return cursor.rowcount
