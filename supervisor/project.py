"""What the composition root hands to the processes: the only way in which a worker reaches the project's own code."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pgsupervise.partitions.caps import Cap
from pgsupervise.partitions.rows import ClaimedDelivery, ClaimedTask, Doubt, DueBatch, Person, Rendering
from pgsupervise.partitions.windows import WindowRule

from .limits import UNLIMITED, Limit
from .outcomes import SendOutcome, TaskOutcome


class Channel(Protocol):
    """A way to reach a recipient. Each sender thread has an instance of its own."""

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it. An exception counts as `Unknown`."""
        ...


class GroupChannel(Channel, Protocol):
    """A channel that can send several messages by one call; its spec says how many as `together`."""

    def send_together(self, deliveries: Sequence[ClaimedDelivery]) -> Sequence[SendOutcome | None]:
        """Send messages, no two of one recipient, and say what is known about each, in their order.

        None for one that was not taken together with others by a fault that may be theirs: it is sent by itself then.
        An exception counts as `Unknown` for all of them.
        """
        ...


@runtime_checkable
class RestingChannel(Protocol):
    """A channel that keeps something open between messages."""

    def rest(self) -> None:
        """Close what is open: there has been no message for a while, or there will be none any more."""
        ...


class Part(StrEnum):
    """What can be rendered of a digest, by its name in the payload."""

    SUBJECT = "subject"
    TEXT = "text"
    HTML = "html"


EVERYTHING = frozenset(Part)


class OnUnknown(StrEnum):
    """What becomes of a message of which nobody knows whether the provider took it.

    RECONCILE waits for the provider's events, which prove that it did; without one the message goes again, if events of
    what happened later have come. HOLD, and RECONCILE where none have, leave it to a person.
    """

    RESEND = "resend"
    HOLD = "hold"
    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """How to build a channel, what it wants of a digest, and what is known of its receiver.

    `takes`: nothing else is rendered for it, and where it takes nothing the events' content is not even read; the
    payload has the items' ids in any case. `resend_is_safe`: sending the same delivery twice shows the recipient one
    message. `needs_call`: without one a delivery is accepted by the seal itself, and only what was sealed before the
    channel was declared so is sent. `tells_later`: its provider's events say what it has taken, so that a policy may
    reconcile by them. `address_kind`: what it sends to are addresses of this kind, "email": they are checked at the
    seal and looked up in the suppression list. A channel without one sends to anything. `together`: so many messages at
    most go by one call of `send_together`, which the channel has where this is more than one; where a worker is killed
    all of them are of unknown fate. `limit`: how much it may be asked for, by all workers together.
    """

    build: Callable[[], Channel]
    takes: AbstractSet[Part] = EVERYTHING
    resend_is_safe: bool = False
    needs_call: bool = True
    tells_later: bool = False
    address_kind: str = ""
    together: int = 1
    limit: Limit = UNLIMITED


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    """What the flusher needs to know about a policy.

    `host`: the policy whose batches take its events, if not its own. `personal_rule` gives the rule for a tenant's
    recipient of whom something is stored; None where all have the same. `reads_data`: its window depends on the events'
    data. `minimum`: a batch of fewer items is sealed without a message. `leaves_out_own`: what a recipient did itself
    is not told to it. `on_unknown` decides about messages of unknown fate. `is_bare`: its digests are made of their
    items' ids alone. `cap`: how many digests a recipient gets at most; the others wait. `required`: who has
    unsubscribed gets them all the same.
    """

    rule: WindowRule
    host: str = ""
    personal_rule: Callable[[Person, str], WindowRule] | None = None
    reads_data: bool = False
    minimum: int = 1
    leaves_out_own: bool = False
    on_unknown: OnUnknown = OnUnknown.RESEND
    is_bare: bool = False
    cap: Cap | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """What the processes need to know about a declared task.

    `hard_timeout`: after this long its process is killed, which counts as a failed attempt. `retry_timeout`: whether
    such a task may be tried again while it has attempts left, or is DEAD at once.
    """

    hard_timeout: timedelta | None = None
    retry_timeout: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything of the project that the processes use."""

    conninfo: Mapping[str, Any]
    tasks: Mapping[str, TaskSpec]
    """The tasks that this code can run, by name."""
    run_task: Callable[[ClaimedTask], TaskOutcome]
    policies: Mapping[str, PolicySpec]
    render: Callable[[DueBatch], Rendering]
    channels: Mapping[str, ChannelSpec]
    longest_send: timedelta
    """A channel's call does not take longer: so long a worker that is to be killed may finish what it is sending."""
    close_connections: Callable[[], None]
    """Close what the project's framework opened in the calling thread or before the fork."""
    objection: Callable[[Doubt], str] = lambda doubt: ""
    """Why a sealed delivery is no longer wished; empty where it is."""
    time_zone: str = "UTC"
    """The IANA zone of the recipients that have none of their own."""
    most_copies: int = 3
    """A message of unknown fate goes out at most so often in all; then it is held."""
    most_per_hour: int = 0
    """Messages by calls that one recipient gets within an hour at most; the others wait. 0 for no limit."""
    unknown_grace: timedelta = timedelta(minutes=15)
    """How long a provider may tell of a message of unknown fate before the message goes again or is held."""
    keep_provider_events: timedelta = timedelta(days=3)
    """At least so long its events are kept, so that one that is told again is known."""

    def unknown_as(self, *ways: OnUnknown) -> list[str]:
        """Return the policies that treat messages of unknown fate in one of these ways."""
        return [name for name, policy in self.policies.items() if policy.on_unknown in ways]
