"""Policies: how the events of one kind become messages.

A project registers them in its apps' `notifications` modules:

    register(Policy(name="comments", window=Sliding(timedelta(minutes=5), max=timedelta(hours=1)), channel="sendgrid",
                    template="notifications/comments"))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, get_args

from pgsupervise.partitions.windows import WindowRule

from .retain import Retain
from .texts import check_text, shorten

MAX_NAME = 100
MAX_CHANNEL = 50
Key = Literal["recipient", "object"]
OnUnknown = Literal["resend", "hold"]


class PolicyError(ValueError):
    """A policy is faulty or not known; the message names it, and the cure."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A batch takes the events of `[first, first + length)`."""

    length: timedelta

    def rule(self, flush_at: int | None) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        return WindowRule(window=self.length, flush_at=flush_at)


@dataclass(frozen=True, slots=True)
class Sliding:
    """Each event moves the end of its batch to `min(event + length, first + max)`."""

    length: timedelta
    max: timedelta = field(kw_only=True)

    def rule(self, flush_at: int | None) -> WindowRule:
        """Return the rule by which the workers close the batch."""
        return WindowRule(window=self.length, sliding_max=self.max, flush_at=flush_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How events become messages.

    `window`: `Fixed(...)`, `Sliding(...)` or a timedelta, which is a fixed window. `flush_at` events close a batch at
    once. `key`: one batch for a recipient, or one for each object of a recipient. `template`: the folder of
    subject.txt, body.txt and body.html. `address` turns a recipient into the channel's address; without it they are
    the same. `on_unknown`: a message that may or may not have gone out is sent again, or held for a person to decide.
    `retain`: how many items are shown, all where it is None. `threaded`: a mail program shows the digests of one
    recipient, tenant and key as one conversation.
    """

    name: str
    window: timedelta | Fixed | Sliding
    flush_at: int | None = None
    key: Key = "recipient"
    channel: str = "inbox"
    template: str = "pgsupervise/digest"
    address: Callable[[str], str] | None = None
    on_unknown: OnUnknown = "resend"
    retain: Retain | None = None
    threaded: bool = False

    def rule(self) -> WindowRule:
        """Return the rule by which the workers close this policy's batches."""
        window = Fixed(self.window) if isinstance(self.window, timedelta) else self.window
        return window.rule(self.flush_at)

    def problems(self) -> list[str]:
        """Return every fault of the policy, each with its cure; an empty list when there is none."""
        found = [
            *_text_problems(self.name, "name", MAX_NAME),
            *_text_problems(self.channel, "channel", MAX_CHANNEL),
            *_text_problems(self.template, "template", 200),
            *_choice_problems(self.key, "key", get_args(Key)),
            *_choice_problems(self.on_unknown, "on_unknown", get_args(OnUnknown)),
            *self._window_problems(),
            *_content_problems(self.retain, self.threaded),
        ]
        address: object = self.address
        if address is not None and not callable(address):
            found.append(f"address is {shorten(address)}: it must be a function of the recipient, or None")
        return found

    def _window_problems(self) -> list[str]:
        try:
            return self.rule().problems()
        except (TypeError, AttributeError):
            return [
                f"window is {shorten(self.window)} and flush_at {shorten(self.flush_at)}: give a timedelta, "
                "Fixed(timedelta) or Sliding(timedelta, max=timedelta), and an int or None"
            ]


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
        names = ", ".join(sorted(_registry)) or "none"
        raise PolicyError(
            f"no policy is registered as {shorten(name)}: register(Policy(name=...)) in an app's notifications module, "
            f"or use one of these: {names}"
        )
    return known


def _text_problems(value: object, what: str, limit: int) -> list[str]:
    try:
        check_text(value, what, limit, required=True)
    except (TypeError, ValueError) as error:
        return [str(error)]
    return []


def _content_problems(retain: object, threaded: object) -> list[str]:
    found = [] if isinstance(threaded, bool) else [f"threaded is {shorten(threaded)}: it must be True or False"]
    if isinstance(retain, Retain):
        return found + retain.problems()
    cure = "it must be Retain(first=10), Retain(last=10) or None"
    return found if retain is None else [*found, f"retain is {shorten(retain)}: {cure}"]


def _choice_problems(value: object, what: str, allowed: tuple[str, ...]) -> list[str]:
    return [] if value in allowed else [f"{what} is {shorten(value)}: it must be one of {', '.join(allowed)}"]
