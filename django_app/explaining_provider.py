"""What a provider told of messages, as steps of an explanation."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from pgsupervise.partitions.states import DeliveryState

from .models import Delivery, ProviderEvent
from .times import second

MOST = 50
"""Events that are told of all messages of an explanation's deliveries together."""


class Step(NamedTuple):
    """Something that happened; `at` is None where no time is known, or it has not happened yet."""

    at: datetime | None
    what: str
    why: str = ""


def events_of(deliveries: Sequence[Delivery]) -> dict[int, list[ProviderEvent]]:
    """Return what was told of some deliveries, in order of its time, by delivery."""
    told: dict[int, list[ProviderEvent]] = {}
    buckets, ids = {one.bucket for one in deliveries}, [one.pk for one in deliveries]
    rows = ProviderEvent.objects.filter(bucket__in=buckets, delivery__in=ids) if ids else ProviderEvent.objects.none()
    for event in sorted(rows[:MOST], key=lambda one: (one.occurred_at, one.pk)):
        told.setdefault(event.delivery_id, []).append(event)
    return told


def told_of(delivery: Delivery, events: Sequence[ProviderEvent]) -> Iterator[Step]:
    """Yield what was told of one delivery, and whether it has gone out more than once."""
    for event in events:
        why = f"attempt {event.attempt}" + (f", {event.reason}" if event.reason else "")
        yield Step(event.occurred_at, f"message {delivery.pk}: the provider says {event.kind}", why)
    if delivery.duplicates:
        taken = sorted({*(delivery.proven_attempts or ()), *([delivery.attempt] if delivery.provider_id else ())})
        why = f"the provider has taken attempts {', '.join(map(str, taken))}"
        yield Step(None, f"message {delivery.pk} went out {len(taken)} times", why)


def why_unknown(delivery: Delivery) -> str:
    """Return what a delivery of unknown fate waits for; nothing for any other."""
    if delivery.state != DeliveryState.UNKNOWN:
        return ""
    if delivery.unknown_until is None:
        return f"a person decides: pgsupervise deliveries resolve ... {delivery.pk}"
    return f"the provider may tell until {second(delivery.unknown_until)}"
