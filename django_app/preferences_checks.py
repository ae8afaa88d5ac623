"""Whether what somebody wishes can be granted: checked where it is stored, told with the cure."""

import re
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from enum import Enum
from typing import Any, Final, Literal

from cronsim import CronSim, CronSimError
from django.utils import timezone

from pgsupervise.partitions.quiet import zone_named

from . import channels as known_channels
from . import jsonvalues
from .policies import registered, registry
from .policy_problems import MAX_NAME
from .texts import check_text, shorten

MAX_RECIPIENT = 320
MAX_TENANT = 100
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=366)
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
    check_text(category, "category", MAX_NAME)
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
    allowed = registered(policy).channels if policy else tuple(known_channels.known())
    for name in names:
        if name not in allowed:
            whose = f"the policy {policy!r} has" if policy else "there is"
            raise ValueError(f"{whose} no channel {shorten(name)}: use some of {', '.join(allowed)}")
    return sorted(set(names))


def checked_window(window: object) -> dict[str, Any] | None:
    """Return the window as it is stored: {"every": seconds} or {"cron": rule}."""
    match window:
        case None:
            return None
        case timedelta():
            return _every(window.total_seconds(), window)
        case str():
            return {"cron": _cron(window)}
        case {"every": bool()}:
            pass
        case {"every": int() | float() as seconds, **rest} if not rest:
            return _every(seconds, window)
        case {"cron": str(rule), **rest} if not rest:
            return {"cron": _cron(rule)}
    raise TypeError(
        f'window is {shorten(window)}: it must be a timedelta, a cron rule such as "0 9 * * mon-fri", or None to say '
        "nothing"
    )


def check_person(given: Mapping[str, Any]) -> None:
    """Refuse a zone, a locale, quiet hours or properties that nobody could obey."""
    if zone := given.get("time_zone"):
        check_text(zone, "time_zone", 64)
        if zone_named(zone) is None:
            raise ValueError(f"time_zone is {shorten(zone)}, which is no IANA zone: use one such as Europe/Rome, or ''")
    elif given.get("time_zone", "") != "":
        raise TypeError(f"time_zone is {shorten(zone)}: it must be a str, '' for the project's {_default_zone()}")
    if "locale" in given:
        check_text(given["locale"], "locale", 20)
        if given["locale"] and not LOCALE.fullmatch(given["locale"]):
            raise ValueError(f"locale is {shorten(given['locale'])}: use one such as pt-br, or ''")
    _check_quiet_hours(given)
    if "properties" in given:
        _check_properties(given["properties"])


def _check_quiet_hours(given: Mapping[str, Any]) -> None:
    hours = [given[name] for name in ("quiet_from", "quiet_until") if name in given]
    if not hours:
        return
    if len(hours) == 1 or (hours[0] is None) != (hours[1] is None):
        raise ValueError("quiet_from and quiet_until belong together: give both, or None for both")
    if hours[0] is None:
        return
    for hour in hours:
        if not isinstance(hour, time) or hour.tzinfo is not None:
            raise TypeError(f"quiet hours have {shorten(hour)}: give times without a zone, such as time(22, 0)")
    if hours[0] == hours[1]:
        raise ValueError(f"quiet hours begin and end at {hours[0]}: make them different, or None for none")


def _check_properties(properties: object) -> None:
    if not isinstance(properties, dict):
        raise TypeError(f"properties is {shorten(properties)}: it must be a JSON object, a dict")
    try:
        size = jsonvalues.byte_length(jsonvalues.dumps(properties))
    except TypeError as error:
        raise TypeError(jsonvalues.fault(properties, "properties") or str(error)) from None
    if size > jsonvalues.MAX_BYTES:
        raise ValueError(f"properties is {jsonvalues.oversize(size)}")


def _every(seconds: float, given: object) -> dict[str, Any]:
    if not SHORTEST.total_seconds() <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"window is {shorten(given)}: it must be from a second to {LONGEST.days} days long")
    return {"every": int(seconds) if seconds == int(seconds) else seconds}


def _cron(rule: str) -> str:
    check_text(rule, "window", 100, required=True)
    try:
        if len(rule.split()) != 5:
            raise CronSimError("it must have five fields")
        next(CronSim(rule, timezone.now()))
    except (CronSimError, StopIteration) as error:
        reason = str(error) or "it never comes"
        raise ValueError(f'window is {shorten(rule)}, no cron rule ({reason}): use one such as "0 9 * * *"') from None
    return rule


def _default_zone() -> str:
    return str(timezone.get_default_timezone())
