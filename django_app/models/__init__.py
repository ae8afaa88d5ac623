"""The shared tables. Application code writes tasks and events; everything else is the workers'."""

from .channel import Channel
from .fan_out import FanOut, FanOutState, Subscription
from .inbox import InboxMessage
from .notification import Batch, Clock, Delivery, Event
from .preference import Preference, Recipient, TenantPreference
from .provider import ProviderEvent
from .suppression import Suppression
from .task import FinishedTask, Task
from .worker import Lease, Worker

__all__ = [
    "Batch",
    "Channel",
    "Clock",
    "Delivery",
    "Event",
    "FanOut",
    "FanOutState",
    "FinishedTask",
    "InboxMessage",
    "Lease",
    "Preference",
    "ProviderEvent",
    "Recipient",
    "Subscription",
    "Suppression",
    "Task",
    "TenantPreference",
    "Worker",
]
