"""What is wrong with a policy: everything at once, each with its cure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from pgsupervise.partitions.caps import Cap
from pgsupervise.partitions.windows import WindowRule

from .keys import key_problems
from .retain import Retain
from .texts import check_text, shorten
from .windows import length_problems

if TYPE_CHECKING:
    from .policies import Policy

MAX_NAME = 100
MAX_CHANNEL = 50
_WINDOW_HAS = ("problems", "rule", "reads_data", "reads_person")
_WINDOWS = "give a timedelta, Fixed, Sliding, Calendar, Until, Before or FromProperty"


def problems_of(policy: "Policy") -> list[str]:
    """Return every fault that a policy has by itself, each with its cure."""
    from .policies import OnUnknown

    found = [
        *_text_problems(policy.name, "name", MAX_NAME),
        *_channel_problems(policy.channel),
        *_fallback_problems(policy),
        *_cap_problems(policy.cap),
        *_retain_problems(policy.retain),
        *_text_problems(policy.template, "template", 200),
        *_text_problems(policy.category, "category", MAX_NAME, required=False),
        *([] if policy.key is None else key_problems(policy.key)),
        *_choice_problems(policy.on_unknown, "on_unknown", get_args(OnUnknown)),
        *_switch_problems(policy),
        *(_window_problems(policy) if policy.digest is None else _guest_problems(policy)),
    ]
    return [*found, *_address_problems(policy.address)]


def host_problems(policies: "Mapping[str, Policy]") -> list[str]:
    """Return what keeps policies from going into the digests that they name, each with its cure."""
    found = []
    for policy in policies.values():
        if policy.digest is None:
            continue
        host = policies.get(policy.digest)
        if host is None:
            names = ", ".join(sorted(name for name, one in policies.items() if one.digest is None)) or "none"
            found.append(
                f"policy {policy.name!r}: its digest is {policy.digest!r}, and no policy is registered by that name: "
                f"register it, or use one of these: {names}"
            )
        elif host.digest is not None:
            found.append(
                f"policy {policy.name!r}: its digest {policy.digest!r} goes into {host.digest!r} itself: name that one"
            )
    return found


def _window_problems(policy: "Policy") -> list[str]:
    window: object = policy.window
    found = [*_count_problems(policy.flush_at, "flush_at", "or None for no limit")]
    found += _count_problems(policy.minimum, "minimum", "which is no minimum") or _minimum_problems(policy)
    if policy.quiet is not None:
        found += length_problems(policy.quiet, "quiet")
    if window is None:
        return [*found, f"window is missing: {_WINDOWS}, or name the policy whose digest takes the events as digest="]
    if isinstance(window, timedelta):
        found += length_problems(window, "window")
    elif isinstance(window, type) or not all(hasattr(window, name) for name in _WINDOW_HAS):
        found.append(f"window is {shorten(window)}: {_WINDOWS}")
    else:
        found += policy.declared_window.problems()
    if policy.leading and policy.quiet is not None:
        found += WindowRule(window=timedelta(1), leading=True, quiet=timedelta(1)).problems()
    return found


def _minimum_problems(policy: "Policy") -> list[str]:
    found = []
    if isinstance(policy.flush_at, int) and 1 <= policy.flush_at < policy.minimum:
        found.append(f"minimum is {policy.minimum} and flush_at {policy.flush_at}: no batch would be sent; swap them")
    if policy.minimum > 1 and (policy.leading or policy.quiet is not None):
        found.append(
            f"minimum is {policy.minimum}, and the event that leading or quiet sends by itself is below it: "
            "leave one of them out"
        )
    return found


def _guest_problems(policy: "Policy") -> list[str]:
    given = _given(policy)
    found = [f"{', '.join(given)}: digest {shorten(policy.digest)} decides about that: leave it out"] if given else []
    found += _text_problems(policy.digest, "digest", MAX_NAME)
    if policy.digest == policy.name:
        found.append(f"digest is {shorten(policy.digest)}, the policy itself: leave it out")
    return found


def _given(policy: "Policy") -> list[str]:
    """Return what a policy says that the host of its digest decides."""
    from .policies import CHANNEL, TEMPLATE

    silent = {
        "window": None,
        "personal_window": True,
        "flush_at": None,
        "leading": False,
        "quiet": None,
        "minimum": 1,
        "channel": CHANNEL,
        "fallback": (),
        "template": TEMPLATE,
        "address": None,
        "on_unknown": "resend",
        "cap": None,
        "required": False,
        "retain": None,
        "threaded": False,
    }
    values = {name: getattr(policy, name) for name in silent}
    return [f"{name} is {shorten(value)}" for name, value in values.items() if value != silent[name]]


def _channel_problems(channel: object) -> list[str]:
    if isinstance(channel, str):
        return _text_problems(channel, "channel", MAX_CHANNEL)
    if not isinstance(channel, list | tuple) or not channel or len({*map(str, channel)}) < len(channel):
        return [f"channel is {shorten(channel)}: it must be a channel's name, or a list of different ones"]
    return [problem for name in channel for problem in _text_problems(name, "channel", MAX_CHANNEL)]


def _address_problems(address: object) -> list[str]:
    functions = address.values() if isinstance(address, Mapping) else [address]
    if address is None or all(map(callable, functions)):
        return []
    return [f"address is {shorten(address)}: it must be a function of the recipient, or a dict of such by channel"]


def _fallback_problems(policy: "Policy") -> list[str]:
    fallback: object = policy.fallback
    if fallback == () or fallback == []:
        return []
    if isinstance(fallback, str):
        fallback = [fallback]
    if not isinstance(fallback, list | tuple) or len({*map(str, fallback)}) < len(fallback):
        return [f"fallback is {shorten(fallback)}: it must be a channel's name, or a list of different ones"]
    found = [problem for name in fallback for problem in _text_problems(name, "fallback", MAX_CHANNEL)]
    chosen = [policy.channel] if isinstance(policy.channel, str) else policy.channel
    if isinstance(chosen, list | tuple) and (both := [name for name in fallback if name in chosen]):
        found.append(f"fallback has {shorten(both)}, which channel has too: leave it out of one of them")
    return found


def _cap_problems(cap: object) -> list[str]:
    if isinstance(cap, Cap):
        return cap.problems()
    return [] if cap is None else [f"cap is {shorten(cap)}: it must be Cap(count, per=timedelta), or None"]


def _retain_problems(retain: object) -> list[str]:
    if isinstance(retain, Retain):
        return retain.problems()
    cure = "it must be Retain(first=10), Retain(last=10) or None"
    return [] if retain is None else [f"retain is {shorten(retain)}: {cure}"]


def _switch_problems(policy: "Policy") -> list[str]:
    given: dict[str, object] = {
        name: getattr(policy, name) for name in ("personal_window", "leading", "leaves_out_own", "required", "threaded")
    }
    return [
        f"{name} is {shorten(value)}: it must be True or False"
        for name, value in given.items()
        if not isinstance(value, bool)
    ]


def _count_problems(value: object, what: str, otherwise: str) -> list[str]:
    if value is None and "None" in otherwise:
        return []
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return []
    return [f"{what} is {shorten(value)}: it must be at least 1, {otherwise}"]


def _text_problems(value: object, what: str, limit: int, *, required: bool = True) -> list[str]:
    try:
        check_text(value, what, limit, required=required)
    except (TypeError, ValueError) as error:
        return [str(error)]
    return []


def _choice_problems(value: object, what: str, allowed: tuple[str, ...]) -> list[str]:
    return [] if value in allowed else [f"{what} is {shorten(value)}: it must be one of {', '.join(allowed)}"]
