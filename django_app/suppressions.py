"""The suppression list: addresses to which nothing is sent any more, since a provider or somebody here says so.

    suppress("ann@example.com", note="asked by telephone")
    unsuppress("ann@example.com")

What SendGrid's events mean for an address, by its Event Webhook Reference
(https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event):

| event                                                       | reason        |
|-------------------------------------------------------------|---------------|
| bounce of type "bounce": refused for good                   | `bounce`      |
| bounce of type "blocked", deferred: about this message, or  | none          |
| for now                                                     |               |
| dropped: "Bounced Address", "Invalid"                       | `drop`        |
| dropped: "Spam Reporting Address"                           | `spam`        |
| dropped: "Unsubscribed Address"                             | `unsubscribe` |
| dropped for another reason ("Spam Content", "Recipient List | none          |
| over Package Quota", ...): about the message or the account |               |
| spamreport                                                  | `spam`        |
| unsubscribe                                                 | `unsubscribe` |
| group_unsubscribe: of one of SendGrid's groups (ASM), which | none          |
| no message of ours belongs to                               |               |
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress as ignoring

from django.db import connections, router
from django.db.models import QuerySet

from pgsupervise.partitions.states import SuppressionReason
from pgsupervise.partitions.suppressions import AnyCursor, Key, NewSuppression, insert_suppressions, key_of

from .addresses import AddressError, checked_address
from .channels import MAIL_ADDRESS
from .models import Suppression
from .provider_events import ProviderEvent, ProviderKind
from .texts import one_line

MOST_NOTE = 1000
_KINDS = {
    ProviderKind.BOUNCE: SuppressionReason.BOUNCE,
    ProviderKind.SPAM_REPORT: SuppressionReason.SPAM,
    ProviderKind.UNSUBSCRIBE: SuppressionReason.UNSUBSCRIBE,
}
_DROPS = {
    "bounced address": SuppressionReason.DROP,
    "invalid": SuppressionReason.DROP,
    "spam reporting address": SuppressionReason.SPAM,
    "unsubscribed address": SuppressionReason.UNSUBSCRIBE,
}


def suppress(address: str, *, note: str = "") -> bool:
    """Send nothing to an address any more; return whether that is news. Raises AddressError for what is none."""
    new = NewSuppression(_key(address), SuppressionReason.BY_HAND, one_line(note)[:MOST_NOTE])
    with connections[router.db_for_write(Suppression)].cursor() as cursor:
        return insert_suppressions(cursor, [new]) > 0


def unsuppress(address: str) -> int:
    """Forget every reason against an address; return how many there were. Raises AddressError for what is none.

    The provider has a list of its own: what it has suppressed must be removed there as well.
    """
    return suppressions_of(address).delete()[0]


def suppressions_of(address: str) -> QuerySet[Suppression]:
    """Return the reasons against an address, the oldest first. Raises AddressError for what is none."""
    return Suppression.objects.filter(**_key(address)._asdict()).order_by("id")


def suppress_from_events(cursor: AnyCursor, events: Iterable[ProviderEvent]) -> int:
    """Add the addresses that these events are against, in the cursor's transaction; return how many reasons are new.

    Order and repetition do not matter. An address that is none is left out: nothing of ours was sent there.
    """
    return insert_suppressions(cursor, list(_from_events(events)))


def reason_of(event: ProviderEvent) -> SuppressionReason | None:
    """Return what an event says against its address; None where it says nothing."""
    if event.kind is ProviderKind.DROPPED:
        return _DROPS.get(event.reason.strip().lower())
    return _KINDS.get(event.kind)


def _from_events(events: Iterable[ProviderEvent]) -> Iterator[NewSuppression]:
    for event in events:
        reason = reason_of(event)
        if reason is None:
            continue
        with ignoring(AddressError):
            note = one_line(event.reason)[:MOST_NOTE]
            yield NewSuppression(_key(event.address), reason, note, one_line(event.event_id)[:200], event.occurred_at)


def _key(address: str) -> Key:
    return key_of(MAIL_ADDRESS, checked_address(address))
