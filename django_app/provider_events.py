"""What a provider says later about a message that it took: delivered, bounced, complained about."""

from dataclasses import dataclass
from datetime import datetime

from pgsupervise.partitions.provider_events import ProviderKind

__all__ = ["AGAINST_THE_ADDRESS", "ProviderEvent", "ProviderKind"]

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
    """One event about one attempt to send a delivery. Its texts are the provider's: bounded, without NUL, untrusted."""

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
