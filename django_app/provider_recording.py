"""Writing down what providers tell, and handing it on in the same transaction.

Rows are only added here: the owner of a delivery's bucket draws the conclusions about the delivery. So requests neither
wait for the workers nor make them wait, and what comes before a sender has written its outcome is not lost.
"""

from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from pgsupervise.partitions import arrays
from pgsupervise.partitions.statements import load

from .bulk import write_connection
from .models import ProviderEvent as Row
from .provider_events import AGAINST_THE_ADDRESS, ProviderEvent
from .suppressions import suppress_from_events

Listener = Callable[[CursorWrapper, Sequence[ProviderEvent]], object]
_listeners: list[Listener] = [suppress_from_events]


def listen(listener: Listener) -> Listener:
    """Have every new event that speaks against its address handed to a function, in the transaction that writes it.

    What it raises takes the transaction back, and the provider tells it all again. It is called with a cursor and at
    least one event (kinds: `AGAINST_THE_ADDRESS`), never twice with the same one.
    """
    if listener not in _listeners:
        _listeners.append(listener)
    return listener


def record(events: Sequence[ProviderEvent]) -> int:
    """Write down, in one statement, those of the events that were not told before, and return how many."""
    if not events:
        return 0
    connection = write_connection(Row)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(load("insert_provider_events"), _columns(events))
        new = set(cursor.fetchall())
        against = [e for e in events if e.kind in AGAINST_THE_ADDRESS and (e.bucket, e.event_id) in new]
        for listener in _listeners if against else ():
            listener(cursor, against)
    return len(new)


def _columns(events: Sequence[ProviderEvent]) -> dict[str, str]:
    return {
        "buckets": arrays.numbers(event.bucket for event in events),
        "event_ids": arrays.texts(event.event_id for event in events),
        "kinds": arrays.texts(event.kind for event in events),
        "delivery_ids": arrays.numbers(event.delivery_id for event in events),
        "attempts": arrays.numbers(event.attempt for event in events),
        "addresses": arrays.texts(event.address for event in events),
        "reasons": arrays.texts(event.reason for event in events),
        "provider_ids": arrays.texts(event.provider_id for event in events),
        "occurred_at": arrays.times(event.occurred_at for event in events),
    }
