"""Policies: how the events of one kind become messages.

A project registers them in its apps' `notifications` modules:

    register(Policy(name="comments", window=Sliding(timedelta(minutes=5), max=timedelta(hours=1)), channel="sendgrid",
                    template="notifications/comments"))
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pgsupervise.partitions.caps import Cap
from pgsupervise.partitions.windows import WindowRule

from .dated_windows import Before, FromProperty, Until
from .keys import Key, reader
from .retain import Retain
from .texts import shorten
from .windows import Calendar, Fixed, Sliding, Window

if TYPE_CHECKING:
    from .notifications import Notification

__all__ = [
    "Before",
    "Calendar",
    "Cap",
    "Fixed",
    "FromProperty",
    "Policy",
    "PolicyError",
    "Retain",
    "Sliding",
    "Until",
    "register",
    "registered",
    "registry",
]

OnUnknown = Literal["resend", "hold", "reconcile"]
CHANNEL, TEMPLATE = "inbox", "pgsupervise/digest"


class PolicyError(ValueError):
    """A policy is faulty or not known; the message names it, and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How events become messages.

    `window`: `Fixed`, `Sliding`, `Calendar`, `Until`, `Before`, `FromProperty`, or a timedelta, which is a fixed
    window. `personal_window`: a recipient's own wish goes before it. `flush_at` events close a batch at once.
    `leading`: the event that would open a batch goes at once and by itself, and what follows in its window is batched.
    `quiet`: an event goes at once if the last one with its key is longer ago than that. `minimum`: a batch of fewer
    items is sealed without a message.

    `key`: what has a digest of its own, see `keys`. `digest`: the policy whose digests take these events, which then
    decides about window, channel and template. `category`: by what recipients mute several policies at once.
    `leaves_out_own`: a recipient is not told what it did itself (where actor and recipient are the same text).

    `template`: the folder of subject.txt, body.txt and body.html. `address` turns a recipient into the channel's
    address, or is a dict of such functions by channel; without it they are the same. `on_unknown`: a message that may
    or may not have gone out is sent again ("resend"), held for a person to decide ("hold"), or reconciled with what the
    provider tells later ("reconcile"). `channel`: its name, or those of several, among which recipients and tenants
    choose. `fallback`: the channels in reserve, in order: the next one gets the digest when all before it have refused.
    A `required` policy cannot be muted. `cap`: how often a recipient gets a digest at most. `retain`: how many items
    are shown, all where it is None. `threaded`: a mail program shows the digests of one recipient, tenant and key as
    one conversation.
    """

    name: str
    window: timedelta | Window | None = None
    personal_window: bool = True
    flush_at: int | None = None
    leading: bool = False
    quiet: timedelta | None = None
    minimum: int = 1
    key: Key | None = None
    digest: str | None = None
    category: str = ""
    leaves_out_own: bool = False
    channel: str | Sequence[str] = CHANNEL
    fallback: str | Sequence[str] = ()
    template: str = TEMPLATE
    address: Callable[[str], str] | Mapping[str, Callable[[str], str]] | None = None
    on_unknown: OnUnknown = "resend"
    required: bool = False
    cap: Cap | None = None
    retain: Retain | None = None
    threaded: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels, in the order of the declaration."""
        return (self.channel,) if isinstance(self.channel, str) else tuple(self.channel)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The names of the channels in reserve, in the order in which they take over."""
        return (self.fallback,) if isinstance(self.fallback, str) else tuple(self.fallback)

    @property
    def every_channel(self) -> tuple[str, ...]:
        """The names of all channels that may get a digest."""
        return *self.channels, *self.fallbacks

    @property
    def host(self) -> "Policy":
        """The policy whose digests take this one's events: itself, or the one that `digest` names where there is it."""
        return _registry.get(self.digest, self) if self.digest else self

    def rule(self) -> WindowRule:
        """Return the rule by which the workers close the batches that take this policy's events."""
        host = self.host
        rule = host.declared_window.rule(host.name)
        return replace(rule, flush_at=host.flush_at, leading=host.leading, quiet=host.quiet)

    @property
    def declared_window(self) -> Window:
        """The window of a policy that has one; a day where it has none."""
        if self.window is None:
            return Fixed(timedelta(days=1))
        return Fixed(self.window) if isinstance(self.window, timedelta) else self.window

    def key_of(self, event: "Notification") -> str:
        """Return the key of an event: its own key's, or its host's where it declares none.

        Raises TypeError or ValueError where a function gave no text of at most 500 characters, and what that raises.
        """
        key = self.host.key if self.key is None else self.key
        return "" if key is None else reader(key)(event)

    def problems(self) -> list[str]:
        """Return every fault of the policy, each with its cure; an empty list when there is none."""
        from .policy_problems import problems_of

        return problems_of(self)


_registry: dict[str, Policy] = {}
registry: Mapping[str, Policy] = MappingProxyType(_registry)
"""Every policy of the project by its name."""


def register(policy: Policy) -> Policy:
    """Make the policy known by its name and return it. Raises PolicyError with all its faults at once."""
    found = policy.problems()
    # An equal policy is the same module imported twice; another one under this name would silently replace the first.
    if not found and _registry.get(policy.name, policy) != policy:
        found.append("another policy has that name already: rename one of them")
    if found:
        raise PolicyError(f"policy {shorten(policy.name)}: {'; '.join(found)}")
    _registry[policy.name] = policy
    return policy


def registered(policy: Policy | str) -> Policy:
    """Return the policy known by this name, or the one given. Raises PolicyError when the workers would not find it."""
    name = policy.name if isinstance(policy, Policy) else policy
    known = _registry.get(name)
    if known is None:
        names = ", ".join(sorted(_registry))
        others = f"or use one of these: {names}" if names else "and add that app to INSTALLED_APPS: there is no policy"
        raise PolicyError(
            f"no policy is registered as {shorten(name)}: register(Policy(name=...)) in an app's notifications module, "
            f"{others}"
        )
    return known
