"""Inserts the file's events as an application would, and moves the event clock along with them.

The event clock (the table `pgsupervise_clock`) says up to which time all events are in. A worker reads it first, then
folds every pending event of a bucket, and then seals only batches whose `deliver_at` the clock has reached. The clock
moves in the transaction that inserts the events, so whoever sees the new time sees all events up to it; and as the file
is ascending, no later event can belong to a batch that closes before that time. So the digests are exactly those that
the events' own times ask for, however the inserts, the workers and their deaths happen to meet.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from pgsupervise.django_app.models import Clock
from pgsupervise.django_app.notifications import Notification, notify_many

from .notifications import NAME
from .reader import FileEvent

MOMENT = timedelta(seconds=1)


def stop_clock_before(at: datetime) -> None:
    """Set the clock to before the first event: until it moves on, nothing is due."""
    _set_clock(at - MOMENT)


def feed(events: Sequence[FileEvent], *, chunk: int, longest: timedelta, fed: Callable[[int], None]) -> None:
    """Insert all events, a chunk a transaction, then make due what is still open; `fed` is told after each chunk."""
    for start in range(0, len(events), chunk):
        part = events[start : start + chunk]
        with transaction.atomic():
            notify_many(NAME, (_notification(event) for event in part))
            _set_clock(part[-1].at)
        fed(start + len(part))
    _set_clock(events[-1].at + longest + MOMENT)


def _notification(event: FileEvent) -> Notification:
    return Notification(event.recipient, {"change": event.change}, event.actor, event.object, event.at)


def _set_clock(at: datetime) -> None:
    if not Clock.objects.update(simulated_at=at):
        raise RuntimeError("the table pgsupervise_clock is empty")
