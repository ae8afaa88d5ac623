"""Retracting: taking back what was told, with an exact answer, in the caller's own transaction."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from django.db import models
from django.db.backends.utils import CursorWrapper

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.statements import load

from .abouts import about_of
from .cancelling import LARGEST, SMALLEST
from .policies import Policy
from .taking_out import Locked, columns, cursor_in_transaction, lock_events, sent_batches, still_open
from .texts import shorten


class Retraction(StrEnum):
    """What became of a wish to take an event back; true from the caller's commit on."""

    RETRACTED = "RETRACTED"
    """It is in no digest, and never will be; also where that was so before, by a retraction or by another reason."""
    SEALED = "SEALED"
    """Too late: its batch is sealed. No channel had taken the message when it was asked."""
    SENT = "SENT"
    """Too late: a channel has taken the message, is taking it, or may have: so once it was tried and not accepted."""
    UNKNOWN = "UNKNOWN"
    """There is no such event; or not yet, since the transaction that tells it has not committed."""


def retract(
    event_id: int | None = None,
    *,
    policy: Policy | str = "",
    recipient: str = "",
    idempotency_key: str = "",
) -> Retraction:
    """Take an event back, named by its id or by its policy, recipient and idempotency key.

    An event that answers RETRACTED is in no digest once the caller has committed, and one that answers SEALED or SENT
    is in its batch's. The caller's rollback takes the retraction back. Until the end of the caller's transaction the
    recipient's other digests wait, too, so call it late in a long one. It waits for nobody but the owner's own short
    transactions, and for others who take back the same event.

    Raises TypeError or ValueError for other values, and under REPEATABLE READ and SERIALIZABLE a serialization failure
    (django.db.OperationalError) where the event or its batch has changed since the caller's transaction began; under
    SERIALIZABLE also at the commit, as for whoever reads there.
    """
    named = _named(policy, recipient, idempotency_key)
    if (event_id is None) == (named is None):
        raise ValueError("retract() takes either an event's id, or its policy, recipient and idempotency_key: give one")
    given: object = event_id
    if given is not None and (not isinstance(given, int) or isinstance(given, bool)):
        cure = "it must be an int, the id that notify() returned"
        raise TypeError(f"event_id is {shorten(given)} ({type(given).__name__}): {cure}")
    if event_id is not None and not SMALLEST <= event_id <= LARGEST:
        return Retraction.UNKNOWN  # no row can have it
    with cursor_in_transaction() as cursor:
        if named is None:
            events = lock_events(cursor, "lock_event", id=event_id)
        else:
            events = lock_events(cursor, "lock_event_by_key", **named)
        return _retracted(cursor, events).get(events[0].id, Retraction.UNKNOWN) if events else Retraction.UNKNOWN


def retract_about(instance: models.Model) -> Mapping[Retraction, int]:
    """Take back everything that was told about an object, to whomever; return how many events had which answer.

    Fan-outs about it that are still under way end with that. What others tell about it in transactions that commit
    later is not taken back. Raises as `retract` and `about_of`.
    """
    about = about_of(instance, "instance", required=True)
    return retract_named(about.type, about.id)


def retract_named(about_type: str, about_id: str) -> Mapping[Retraction, int]:
    """Do as `retract_about` does for an object that need not exist any more."""
    with cursor_in_transaction() as cursor:
        # Before the events: a slice that is being written is waited for, and its events are seen then.
        cursor.execute(load("end_fan_outs_about"), {"about_type": about_type, "about_id": about_id})
        found = lock_events(
            cursor, "lock_events_about", about_type=about_type, about_id=about_id, recipient="", bucket=0
        )
        answers = list(_retracted(cursor, found).values())
    return {answer: answers.count(answer) for answer in Retraction if answer in answers}


def _retracted(cursor: CursorWrapper, events: Sequence[Locked]) -> dict[int, Retraction]:
    taken = still_open(cursor, events)
    if taken:
        cursor.execute(load("retract_events"), columns(taken))
    out = {event.id for event in taken} | {event.id for event in events if event.is_left_out}
    sent = sent_batches(cursor, late) if (late := [event for event in events if event.id not in out]) else set()
    answers = dict.fromkeys((event.id for event in events), Retraction.RETRACTED)
    return answers | {event.id: Retraction.SENT if event.batch_id in sent else Retraction.SEALED for event in late}


def _named(policy: Policy | str, recipient: str, idempotency_key: str) -> dict[str, object] | None:
    name = policy.name if isinstance(policy, Policy) else policy
    given = {"policy": name, "recipient": recipient, "idempotency_key": idempotency_key}
    for what, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"{what} is {shorten(value)} ({type(value).__name__}): it must be a str")
    if not any(given.values()):
        return None
    if missing := [what for what, value in given.items() if not value]:
        raise ValueError(f"{' and '.join(missing)} missing: an idempotency key is one of a policy and a recipient")
    return {**given, "bucket": bucket_of(recipient)}
