"""What becomes of a delivery by what is known after its call."""

from dataclasses import replace
from datetime import timedelta

from pgsupervise.metrics import recorder
from pgsupervise.partitions.backoff import SEND_RETRY
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState

from .breaker import copies_are_used_up
from .outcomes import Accepted, Forbidden, NotSent, Paused, Refused, SendOutcome, Unknown
from .project import OnUnknown, Project

MOST_ATTEMPTS = 12
"""With SEND_RETRY that is about an hour and a half; then the delivery is refused with the last reason."""
FORBIDDEN_TRIES = 3
FORBIDDEN_AGAIN = timedelta(minutes=2)
"""Longer than the channel is paused for: what is forbidden for what it is must not be tried first each time."""
UNKNOWN_REST = timedelta(seconds=30)
"""A message of unknown fate is not sent again before this: the provider may still be at work on it, and tell so."""


def judged(project: Project, delivery: ClaimedDelivery, outcome: SendOutcome, *, blocked: bool) -> SentDelivery:
    """Return what becomes of a delivery after its call; `blocked` says that not it is forbidden but its channel."""
    match outcome:
        case Accepted(provider_id):
            return SentDelivery(delivery, DeliveryState.ACCEPTED, provider_id=storable(provider_id, 200))
        case Refused(reason):
            return _refused(delivery, storable(reason))
        case Paused(reason):
            # It waits for its channel, and no longer: who resumes that by hand wants it to go.
            return SentDelivery(delivery, DeliveryState.PENDING, error=storable(reason), burnt=False)
        case Forbidden(reason):
            return _after_forbidden(delivery, reason, blocked=blocked)
        case NotSent(reason, retry_after):
            return _again(delivery, reason, retry_after or SEND_RETRY.delay(delivery.attempt))
        case Unknown(reason):
            return replace(_judged_unknown(project, delivery, reason), in_doubt=True)


def _judged_unknown(project: Project, delivery: ClaimedDelivery, reason: str) -> SentDelivery:
    way = way_of_unknown(project, delivery.policy, delivery.channel)
    if way is not OnUnknown.HOLD and copies_are_used_up(project, delivery):
        recorder.deliveries_held(delivery.channel, "copies")
        words = f"held: sent {delivery.copies + 1} times, of unknown fate: {storable(reason)}"
        return SentDelivery(delivery, DeliveryState.UNKNOWN, error=words)
    match way:
        case OnUnknown.RESEND:
            return _again(delivery, reason, max(UNKNOWN_REST, SEND_RETRY.delay(delivery.attempt)), in_doubt=True)
        case OnUnknown.RECONCILE if delivery.attempt < MOST_ATTEMPTS:
            grace = project.unknown_grace
            return SentDelivery(delivery, DeliveryState.UNKNOWN, error=storable(reason), delay=grace)
        case _:
            return SentDelivery(delivery, DeliveryState.UNKNOWN, error=storable(reason))


def _after_forbidden(delivery: ClaimedDelivery, reason: str, *, blocked: bool) -> SentDelivery:
    if delivery.attempt >= FORBIDDEN_TRIES and not blocked:
        return _refused(delivery, storable(reason))
    # Not the next one on trial: where it is forbidden for what it is, the others would never go.
    again = DeliveryState.RETRYING
    return SentDelivery(delivery, again, error=storable(reason), delay=FORBIDDEN_AGAIN, burnt=not blocked)


def _again(delivery: ClaimedDelivery, reason: str, delay: timedelta, *, in_doubt: bool = False) -> SentDelivery:
    if delivery.attempt >= MOST_ATTEMPTS:
        words = f"given up after {delivery.attempt} tries: {storable(reason)}"
        return _refused(delivery, words, in_doubt=in_doubt)
    return SentDelivery(delivery, DeliveryState.RETRYING, error=storable(reason), delay=delay)


def _refused(delivery: ClaimedDelivery, words: str, *, in_doubt: bool = False) -> SentDelivery:
    """Return a delivery that is not tried again.

    Where a try is of unknown fate it may have arrived, so no channel in reserve takes over: a person decides, or an
    event of the provider's.
    """
    if in_doubt or delivery.copies:
        return SentDelivery(delivery, DeliveryState.UNKNOWN, error=f"{words} (it may have arrived by a try before)")
    return SentDelivery(delivery, DeliveryState.REFUSED, error=words)


def storable(text: str, most: int = 1000) -> str:
    """Return a channel's words as PostgreSQL takes them: it has no NUL and no lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:most]


def way_of_unknown(project: Project, policy: str, channel: str) -> OnUnknown:
    """Return what becomes of a message of unknown fate: it goes again where that is harmless, else by its policy.

    A policy that reconciles may have channels in reserve of which nobody tells: by these it is held, since that nothing
    was told of it says nothing then.
    """
    spec, declared = project.channels[channel], project.policies.get(policy)
    if spec.resend_is_safe:
        return OnUnknown.RESEND
    if declared is None or (declared.on_unknown is OnUnknown.RECONCILE and not spec.tells_later):
        return OnUnknown.HOLD
    return declared.on_unknown
