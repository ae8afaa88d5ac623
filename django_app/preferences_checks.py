"""Whether what somebody wishes can be granted: checked where it is stored, told with the cure."""

import re
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from enum import Enum
from typing import Any, Final, Literal

from django.utils import timezone

from pgsupervise.partitions.quiet import zone_named

from . import channels as known_channels
from . import jsonvalues
from .policies import registered, registry
from .policy_problems import MAX_NAME as MAX_CATEGORY
from .texts import check_text, shorten

MAX_RECIPIENT = 320
MAX_TENANT = 100
LOCALE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")


class _Unchanged(Enum):
    UNCHANGED = "unchanged"


Unchanged = Literal[_Unchanged.UNCHANGED]
UNCHANGED: Final = _Unchanged.UNCHANGED
"""Stands for a value that was not given: None says that nothing is wished."""


def check_recipient(recipient: object) -> None:
    """Refuse what is no recipient."""
    check_text(recipient, "recipient", MAX_RECIPIENT, required=True)


def check_tenant(tenant: object, *, required: bool = False) -> None:
    """Refuse what is no tenant."""
    check_text(tenant, "tenant", MAX_TENANT, required=required)


def check_level(policy: str, category: str, tenant: str) -> None:
    """Refuse a policy that is not registered, a category that no policy has, and both at once."""
    check_tenant(tenant)
    if policy and category:
        raise ValueError(f"both policy {shorten(policy)} and category {shorten(category)} are given: give one of them")
    if policy != "":
        registered(policy)
    check_text(category, "category", MAX_CATEGORY)
    known = sorted({policy.category for policy in registry.values()} - {""})
    if category and category not in known:
        names = ", ".join(known) or "none"
        raise ValueError(
            f"no policy has the category {shorten(category)}: declare Policy(category=...), or use one of: {names}"
        )


def checked_muted(muted: object, policy: str) -> bool | None:
    """Return whether something is muted; refuse to mute what is required."""
    if muted is not None and not isinstance(muted, bool):
        raise TypeError(f"muted is {shorten(muted)}: it must be True, False, or None to say nothing")
    if muted and policy and registered(policy).required:
        raise ValueError(f"the policy {policy!r} is required and cannot be muted: declare it with required=False")
    return muted


def checked_channels(names: object, policy: str) -> list[str] | None:
    """Return the names of channels; refuse those that there are not, or that the policy does not use."""
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence | set | frozenset):
        raise TypeError(f"channels is {shorten(names)}: it must be a list of channels' names, or None to say nothing")
    _check_host(policy, "channels")
    allowed = registered(policy).channels if policy else tuple(known_channels.known())
    for name in names:
        if name not in allowed:
            whose = f"the policy {policy!r} has" if policy else "there is"
            raise ValueError(f"{whose} no channel {shorten(name)}: use some of {', '.join(allowed)}")
    return sorted(set(names))


def checked_window(window: object, policy: str) -> dict[str, Any] | None:
    """Return the window as it is stored, in one of the forms that `personal_windows` reads."""
    from .personal_windows import wish_problems  # which asks what is wished, and so imports us

    match window:
        case None:
            return None
        case timedelta():
            seconds = window.total_seconds()
            wish: dict[str, Any] = {"every": int(seconds) if seconds == int(seconds) else seconds}
        case str():
            wish = {"cron": window}
        case Mapping():
            wish = dict(window)
        case _:
            raise TypeError(
                f'window is {shorten(window)}: it must be a timedelta, a cron rule such as "0 9 * * *", a dict, or '
                "None to say nothing"
            )
    _check_host(policy, "window")
    if policy and not registered(policy).personal_window:
        raise ValueError(f"the policy {policy!r} has the same window for all: declare it with personal_window=True")
    if problems := wish_problems(wish):
        raise ValueError("; ".join(problems))
    return wish


def _check_host(policy: str, what: str) -> None:
    digest = registered(policy).digest if policy else None
    if digest is not None:
        raise ValueError(f"the policy {policy!r} goes into the digest of {digest!r}: wish for its {what} there")


def check_person(given: Mapping[str, Any]) -> None:
    """Refuse a zone, a locale, quiet hours or properties that nobody could obey."""
    if zone := given.get("time_zone"):
        check_text(zone, "time_zone", 64)
        if zone_named(zone) is None:
            raise ValueError(
                f"time_zone is {shorten(zone)}, which is no IANA zone: use one such as Europe/Rome, or leave it empty"
            )
    elif given.get("time_zone", "") != "":
        raise TypeError(f"time_zone is {shorten(zone)}: it must be a str, '' for the project's {_default_zone()}")
    if "locale" in given:
        check_text(given["locale"], "locale", 20)
        if given["locale"] and not LOCALE.fullmatch(given["locale"]):
            raise ValueError(f"locale is {shorten(given['locale'])}: use one such as pt-br, or leave it empty")
    _check_quiet_hours(given)
    if "properties" in given:
        _check_properties(given["properties"])


def _check_quiet_hours(given: Mapping[str, Any]) -> None:
    hours = [given[name] for name in ("quiet_from", "quiet_until") if name in given]
    if not hours:
        return
    if len(hours) == 1 or (hours[0] is None) != (hours[1] is None):
        raise ValueError("quiet_from and quiet_until belong together: give both, or neither")
    if hours[0] is None:
        return
    for hour in hours:
        if not isinstance(hour, time) or hour.tzinfo is not None:
            raise TypeError(f"quiet hours have {shorten(hour)}: give times without a zone, such as time(22, 0)")
    if hours[0] == hours[1]:
        raise ValueError(f"quiet hours begin and end at {hours[0]}: make them different, or give neither")


def _check_properties(properties: object) -> None:
    if not isinstance(properties, dict):
        raise TypeError(f"properties is {shorten(properties)}: it must be a JSON object, a dict")
    try:
        size = jsonvalues.byte_length(jsonvalues.dumps(properties))
    except TypeError as error:
        raise TypeError(jsonvalues.fault(properties, "properties") or str(error)) from None
    if size > jsonvalues.MAX_BYTES:
        raise ValueError(f"properties is {jsonvalues.oversize(size)}")


def _default_zone() -> str:
    return str(timezone.get_default_timezone())
