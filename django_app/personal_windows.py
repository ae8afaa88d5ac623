"""The windows that recipients and tenants wish for: JSON in their preferences, which anybody may have written."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pgsupervise.partitions.rows import Person
from pgsupervise.partitions.windows import LONGEST, WindowRule

from .dated_windows import length_of
from .fallbacks import Unread, fell_back
from .policies import Policy
from .preferences import resolved_window
from .windows import Calendar, Fixed, Sliding, Window

CURE = (
    'give {"every": seconds}, {"sliding": seconds, "max": seconds}, {"cron": "0 9 * * *"} or {"at_once": true}; '
    f"windows are longer than zero and at most {LONGEST.days} days"
)
_AT_ONCE = WindowRule(window=LONGEST, end=lambda event, person: event.occurred_at)


def wish_problems(wish: object) -> list[str]:
    """Return what is wrong with a wished window, with the cure; an empty list when nothing is."""
    try:
        rule_of_wish(wish, "")
    except (TypeError, ValueError, OverflowError) as error:
        return [f"the window is {wish!r}: {error}; {CURE}"]
    return []


def rule_of_wish(wish: object, policy: str, zone: str | None = None) -> WindowRule:
    """Return the rule that a wished window stands for; `zone` is that of recipients who have none.

    Raises TypeError, ValueError or OverflowError for a faulty one.
    """
    match wish:
        case {"at_once": True, **others} if not others:
            return _AT_ONCE
        case {"every": seconds, **others} if not others:
            window: Window = Fixed(_length(seconds))
        case {"sliding": seconds, "max": most, **others} if not others:
            window = Sliding(_length(seconds), max=_length(most))
        case {"cron": rule, **others} if not others:
            window = Calendar(rule, zone)
        case _:
            raise ValueError("it is no window")
    if found := window.problems():
        raise ValueError("; ".join(found))
    return window.rule(policy)


def personal_rule(policy: Policy) -> Callable[[Person, str], WindowRule] | None:
    """Return what gives the rule for a recipient and a tenant; None where all have the same."""
    usual, window = policy.rule(), policy.declared_window
    if not policy.personal_window:
        return (lambda person, tenant: usual) if window.reads_person else None
    zone = getattr(window, "zone", None)

    def rule(person: Person, tenant: str) -> WindowRule:
        wish = resolved_window(person, policy.name, policy.category, tenant)
        return usual if wish is None else _wished(policy, usual, wish, zone)

    return rule


def _wished(policy: Policy, usual: WindowRule, wish: Mapping[str, Any], zone: str | None) -> WindowRule:
    try:
        rule = rule_of_wish(wish, policy.name, zone)
    # Whatever somebody has written there, the events of its bucket must be folded.
    except Exception:
        fell_back(policy.name, "wished window", Unread("wish", wish))
        return usual
    if rule is _AT_ONCE:
        return rule
    return replace(rule, flush_at=usual.flush_at, leading=usual.leading, quiet=usual.quiet)


def _length(seconds: object) -> timedelta:
    if isinstance(seconds, str):
        raise TypeError("its lengths are numbers of seconds")
    return length_of(seconds)
