"""What has arrived, read from the database after the last delivery."""

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection

from pgsupervise.partitions.states import DeliveryState

from .audit import Digest, StoredEvent

_EVENTS = "SELECT id, recipient, object, occurred_at FROM pgsupervise_event ORDER BY id"

# In the order in which the answers came; a recipient's deliveries are in one bucket, so one worker wrote them down.
_ACCEPTED = """
SELECT recipient, payload->'item_ids' FROM pgsupervise_delivery WHERE state = 'ACCEPTED' ORDER BY finished_at, id
"""

# What the recipients have: the rows of the inbox itself, not what the workers believe about them.
_INBOX = "SELECT recipient, item_ids FROM pgsupervise_inboxmessage ORDER BY id"

_NOT_ACCEPTED = "SELECT count(*) FROM pgsupervise_delivery WHERE state <> %s"


def stored_events() -> list[StoredEvent]:
    """Return the events in order of their ids."""
    return [StoredEvent(*row) for row in _rows(_EVENTS)]


def arrived(channel: str) -> Iterator[Digest]:
    """Yield the digests in the order of their arrival."""
    for recipient, item_ids in _rows(_INBOX if channel == "inbox" else _ACCEPTED):
        yield Digest(recipient, json.loads(item_ids))


def undelivered() -> int:
    """Return how many deliveries ended without being accepted: refused, or of unknown fate."""
    return int(next(_rows(_NOT_ACCEPTED, DeliveryState.ACCEPTED.value))[0])


def _rows(statement: str, *parameters: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        yield from cursor.fetchall()
