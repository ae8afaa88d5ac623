"""Why a recipient did or did not get something: what happened to an event, step by step, with time and reason."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.standbys import NOT_NEEDED
from pgsupervise.partitions.states import BatchState, DeliveryState, EventState, Reason

from .explaining_provider import Step, events_of, told_of, why_unknown
from .explaining_windows import Known
from .models import Batch, Delivery, Event, Lease, ProviderEvent
from .policies import registry
from .testing_guard import RECORDED
from .texts import amount
from .times import second

NEWEST = 20
"""Events of a recipient, the newest ones, that are explained by default."""

REASONS = {
    Reason.FLUSH: "it was no event, but asked for its key's batch to be closed",
    Reason.RECOMPUTED: "it was no event, but asked for another end of its key's batch",
    Reason.OWN_ACTION: "the recipient did it itself, and the policy leaves that out",
    Reason.READ: "the recipient had read it before its batch was sealed",
    Reason.MUTED: "the recipient, or its tenant, has muted it",
    Reason.SUPPRESSED: "its address is on the suppression list: see `pgsupervise suppressions`",
    Reason.BELOW_MINIMUM: "there were fewer events than the policy asks for",
    Reason.EMPTY: "nothing was left in the batch",
}
SENDING = {
    DeliveryState.WAITING: "waits for",
    DeliveryState.RETRYING: "was not sent and is tried again",
    DeliveryState.PENDING: "waits to be sent",
    DeliveryState.SENDING: "is being sent",
    DeliveryState.ACCEPTED: "accepted by the channel",
    DeliveryState.REFUSED: "refused by the channel for good",
    DeliveryState.UNKNOWN: "of unknown fate: nobody can tell whether the channel took it",
    DeliveryState.SKIPPED: "left out, for what the recipient did or wished after the seal",
    DeliveryState.STANDBY: "in reserve, if the channels before it refuse",
}
RECORDED_WORDS = "recorded by flush_due() in a test; sent nowhere"

LATER = (DeliveryState.WAITING, DeliveryState.RETRYING)
Told = Mapping[int, Sequence[ProviderEvent]]


class Explanation(NamedTuple):
    """One event and all that became of it, in order."""

    event: Event
    outcome: str
    """In one word or two: pending, open, sealed, sent, retracted, filtered, ..."""
    steps: Sequence[Step]

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can say."""
        names = ("policy", "recipient", "tenant", "key", "actor", "object", "occurred_at", "about_type", "about_id")
        columns = {name: getattr(self.event, name) for name in names}
        steps = [step._asdict() for step in self.steps]
        return {"event": self.event.pk, **columns, "outcome": self.outcome, "steps": steps}


def explain_event(event_id: int) -> Explanation | None:
    """Return what became of an event, or None where there is none of this id."""
    event = Event.objects.filter(pk=event_id).first()
    return _explained([event])[0] if event else None


def explain_recipient(recipient: str, limit: int = NEWEST) -> list[Explanation]:
    """Return what became of a recipient's newest events, the newest first."""
    mine = Event.objects.filter(bucket=bucket_of(recipient), recipient=recipient, is_flush=False)
    batches = Batch.objects.filter(bucket=bucket_of(recipient), recipient=recipient).order_by("-id")
    # Each by an index of its own: pending events, those that were left out, and what is in the newest batches.
    found = {event.pk: event for event in mine.filter(state=EventState.PENDING).order_by("occurred_at", "id")[:limit]}
    left_out = mine.filter(state__in=[EventState.RETRACTED, EventState.FILTERED]).order_by("-id")[:limit]
    newest = list(batches.values_list("id", flat=True)[:limit])
    in_batches = Event.objects.filter(batch_id__in=newest, is_flush=False).order_by("-id")[:limit]
    found |= {event.pk: event for rows in (left_out, in_batches) for event in rows}
    return _explained([found[pk] for pk in sorted(found, reverse=True)[:limit]])


def _explained(events: Sequence[Event]) -> list[Explanation]:
    ids = [event.batch_id for event in events if event.batch_id is not None]
    batches = {batch.pk: batch for batch in Batch.objects.filter(pk__in=ids)}
    buckets = {event.bucket for event in events}
    deliveries: dict[int, list[Delivery]] = {}
    for delivery in Delivery.objects.filter(bucket__in=buckets, batch__in=ids).defer("payload").order_by("id"):
        deliveries.setdefault(delivery.batch_id, []).append(delivery)
    told = events_of([one for found in deliveries.values() for one in found])
    owned = set(Lease.objects.exclude(owner=None).values_list("bucket", flat=True))
    known = Known(events)
    return [
        _explanation(
            event, batches.get(event.batch_id or 0), deliveries.get(event.batch_id or 0, []), told, owned, known
        )
        for event in events
    ]


def _explanation(
    event: Event, batch: Batch | None, deliveries: Sequence[Delivery], told: Told, owned: set[int], known: Known
) -> Explanation:
    steps = [_told(event)]
    if batch is not None:
        steps.append(_folded(event, batch, known))
    if event.read_at is not None and event.state != EventState.FILTERED:
        steps.append(Step(event.read_at, "read by the recipient", "its batch was sealed already"))
    match event.state:
        case EventState.PENDING:
            outcome, last = "pending", [Step(None, "waits to be folded", _why_pending(event, owned))]
        case EventState.RETRACTED:
            outcome, last = "retracted", [Step(event.left_out_at, "retracted", "it is in no digest")]
        case EventState.FILTERED:
            outcome, last = "filtered", [Step(event.left_out_at, "left out", _why_left_out(event, known))]
        case _ if batch is None:
            outcome, last = "lost", [Step(None, "its batch is gone", f"there is no batch {event.batch_id}")]
        case _ if batch.state != BatchState.SEALED:
            outcome, last = "open", [_waiting(batch, owned)]
        case _:
            outcome, last = _outcome(batch, deliveries), list(_sealed(batch, deliveries, told, known))
    return Explanation(event, outcome, [*steps, *last])


def _why_left_out(event: Event, known: Known) -> str:
    why = f"{event.reason}: {REASONS[Reason(event.reason)]}" if event.reason in REASONS else event.reason
    whose = known.muted_by(event) if event.reason == Reason.MUTED else ""
    return f"{why}; now {whose}" if whose else why


def _told(event: Event) -> Step:
    given = {"actor": event.actor, "object": event.object, "tenant": event.tenant}
    said = [f"policy {event.policy}", *(f"{name} {value}" for name, value in given.items() if value)]
    if event.about_type:
        said.append(f"about {event.about_type} {event.about_id}")
    if event.occurred_at != event.created_at:
        said.append(f"occurred at {second(event.occurred_at)}")
    return Step(event.created_at, "notified", ", ".join(said))


def _folded(event: Event, batch: Batch, known: Known) -> Step:
    whose = f" of policy {batch.policy}" if batch.policy != event.policy else ""
    said = [
        _when_folded(event, batch),
        f"window from {second(batch.opened_at)} until {second(batch.closes_at)}",
        f"it would be {known.window(batch)} now" if known.window(batch) else "",
        known.why_closed(batch),
        f"key {batch.key!r}" if batch.key else "",
        amount(batch.item_count, "event"),
    ]
    return Step(None, f"folded into batch {batch.pk}{whose}", ", ".join(filter(None, said)))


def _when_folded(event: Event, batch: Batch) -> str:
    """Say what is known: no event has the time of its fold, which lies between what came before and what came after."""
    earliest = second(max(event.created_at, batch.created_at))
    known = [at for at in (batch.sealed_at, event.left_out_at) if at is not None]
    latest = second(min(known)) if known else ""
    if earliest == latest:
        return f"at {earliest}"
    return f"between {earliest} and {latest}" if latest else f"after {earliest}"


def _why_pending(event: Event, owned: set[int]) -> str:
    if event.policy not in registry:
        return f"this code knows no policy {event.policy!r}: left for newer code"
    return _unowned(event.bucket, owned) or "its bucket's owner will soon, unless a transaction holds it"


def _waiting(batch: Batch, owned: set[int]) -> Step:
    if batch.error:
        return Step(None, "could not be rendered", f"{batch.error}; tried again at {second(batch.deliver_at)}")
    if batch.policy not in registry:
        return Step(None, "waits to be sealed", f"this code knows no policy {batch.policy!r}: left for newer code")
    why = f"it goes at {second(batch.deliver_at)}"
    if batch.state == BatchState.OPEN and batch.closes_at == batch.deliver_at:
        why = f"its window is open until {second(batch.closes_at)}, and it goes then"
    elif batch.state == BatchState.OPEN:
        why = f"its window is open until {second(batch.closes_at)}, {why}"
    unowned = _unowned(batch.bucket, owned)
    return Step(None, "waits to be sealed", f"{why}; {unowned}" if unowned else why)


def _unowned(bucket: int, owned: set[int]) -> str:
    return "" if bucket in owned else f"nobody owns bucket {bucket}: is pgsupervise running?"


def _sealed(batch: Batch, deliveries: Sequence[Delivery], told: Told, known_of: Known) -> Iterator[Step]:
    yield Step(batch.sealed_at, f"batch {batch.pk} sealed", "" if deliveries else _why_none(batch))
    for delivery in deliveries:
        known = {
            f"attempt {delivery.attempt}": delivery.attempt,
            f"its id there is {delivery.provider_id}": delivery.provider_id and not _is_recorded(delivery),
            delivery.error: delivery.error,
            why_unknown(delivery): delivery.state == DeliveryState.UNKNOWN,
            f"not before {second(delivery.not_before)}": delivery.state in LATER,
        }
        at = delivery.finished_at or delivery.claimed_at
        why = ", ".join(words for words, is_so in known.items() if is_so)
        yield Step(at, f"message {delivery.pk} by {delivery.channel}: {_what(delivery, known_of)}", why)
        yield from told_of(delivery, told.get(delivery.pk, ()))


def _why_none(batch: Batch) -> str:
    known = f": {REASONS[Reason(batch.reason)]}" if batch.reason in REASONS else ""
    return f"without a message: {batch.reason or 'nothing was left to tell'}{known if batch.reason else ''}"


def _outcome(batch: Batch, deliveries: Sequence[Delivery]) -> str:
    if not deliveries:
        return f"not sent: {batch.reason or 'nothing to tell'}"
    states = {delivery.state for delivery in deliveries}
    accepted = [delivery for delivery in deliveries if delivery.state == DeliveryState.ACCEPTED]
    if accepted and all(map(_is_recorded, accepted)):
        return "recorded"
    for state, word in (
        (DeliveryState.ACCEPTED, "sent"),
        (DeliveryState.SENDING, "sending"),
        (DeliveryState.UNKNOWN, "unknown"),
        *((state, "sealed") for state in (DeliveryState.PENDING, *LATER)),
        (DeliveryState.REFUSED, "refused"),
    ):
        if state in states:
            return word
    return "skipped"


def _what(delivery: Delivery, known: Known) -> str:
    if delivery.error == NOT_NEEDED:
        return "left out"
    if delivery.state == DeliveryState.WAITING:
        return f"{SENDING[DeliveryState.WAITING]} {known.waits_for(delivery)}"
    return RECORDED_WORDS if _is_recorded(delivery) else SENDING[DeliveryState(delivery.state)]


def _is_recorded(delivery: Delivery) -> bool:
    return delivery.state == DeliveryState.ACCEPTED and delivery.provider_id == RECORDED
