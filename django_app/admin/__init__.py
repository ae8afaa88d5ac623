"""Lists of the shared tables, which read a bounded part of an index for each page, whatever a table holds.

All but those of what recipients and tenants wish, and of who gets no mail any more, are read-only.
"""

from .channels import ChannelAdmin
from .deliveries import DeliveryAdmin, InboxMessageAdmin, ProviderEventAdmin
from .fan_out import FanOutAdmin, SubscriptionAdmin
from .notifications import BatchAdmin, ClockAdmin, EventAdmin
from .suppressions import SuppressionAdmin
from .tasks import FinishedTaskAdmin, TaskAdmin
from .wishes import PreferenceAdmin, RecipientAdmin, TenantPreferenceAdmin
from .workers import LeaseAdmin, WorkerAdmin

__all__ = [
    "BatchAdmin",
    "ChannelAdmin",
    "ClockAdmin",
    "DeliveryAdmin",
    "EventAdmin",
    "FanOutAdmin",
    "FinishedTaskAdmin",
    "InboxMessageAdmin",
    "LeaseAdmin",
    "PreferenceAdmin",
    "ProviderEventAdmin",
    "RecipientAdmin",
    "SubscriptionAdmin",
    "SuppressionAdmin",
    "TaskAdmin",
    "TenantPreferenceAdmin",
    "WorkerAdmin",
]
