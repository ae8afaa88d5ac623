"""What a provider says later about a message that it took: delivered, bounced, complained about."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProviderKind(StrEnum):
    """What happened, by the names of SendGrid's Event Webhook, and `blocked`, which is its bounce of type blocked."""

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BLOCKED = "blocked"
    """Turned away for now: nothing is wrong with the address."""
    BOUNCE = "bounce"
    DROPPED = "dropped"
    """The provider took the message and did not send it: the address is on one of its own lists, or is none."""
    SPAM_REPORT = "spamreport"
    UNSUBSCRIBE = "unsubscribe"
    GROUP_UNSUBSCRIBE = "group_unsubscribe"


AGAINST_THE_ADDRESS = frozenset(
    {
        ProviderKind.BOUNCE,
        ProviderKind.DROPPED,
        ProviderKind.SPAM_REPORT,
        ProviderKind.UNSUBSCRIBE,
        ProviderKind.GROUP_UNSUBSCRIBE,
    }
)
"""The kinds that may say not to write to an address again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """One event about one attempt to send a delivery. Its texts are of the provider: bounded, without NUL, untrusted."""

    event_id: str
    """The provider's; the same event may be told twice."""
    kind: ProviderKind
    bucket: int
    delivery_id: int
    attempt: int
    address: str
    """To whom the provider sent it, as the provider spells it."""
    occurred_at: datetime
    reason: str = ""
    provider_id: str = ""
    group_id: int | None = None
    """SendGrid's group of a group_unsubscribe."""
