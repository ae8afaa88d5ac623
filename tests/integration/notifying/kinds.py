"""The policies of the histories: as a project declares them, and once more in the model's own words."""

from datetime import datetime, timedelta
from typing import Any

from pgsupervise.django_app.policies import Before, Calendar, FromProperty, Policy, Sliding, Until, register

from .model import MINUTE, Rule, Told, after, next_time

HOUR = 60 * MINUTE
BOTH = ("inbox", "null")
"""One that needs a call, and one that does not."""
TIMES = ((2, 30), (20, 30))
"""The first is put forward past on the night of the histories, in Rome."""


def _ends_at(event: Told) -> datetime | None:
    found = event.data.get("ends_at")
    return datetime.fromisoformat(found) if isinstance(found, str) and found != "soon" else None


def _until(event: Told) -> datetime:
    ends_at = _ends_at(event)
    return event.at + 40 * MINUTE if ends_at is None else max(event.at, ends_at)


def _before(event: Told) -> datetime:
    ends_at = _ends_at(event)
    return event.at + 40 * MINUTE if ends_at is None else max(event.at, ends_at - 30 * MINUTE)


def _property(event: Told) -> datetime:
    return event.at + {"PT20M": 20 * MINUTE, 600: 10 * MINUTE}.get(event.whose.every, 50 * MINUTE)


def _calendar(event: Told) -> datetime:
    return next_time(event.at, event.whose.zone or "Europe/Rome", TIMES)


RULES = {
    "fixed": Rule(after(HOUR)),
    "slides": Rule(after(45 * MINUTE), slides=(45 * MINUTE, HOUR)),
    "leading": Rule(after(45 * MINUTE), leading=True),
    "wave": Rule(after(30 * MINUTE), slides=(30 * MINUTE, 90 * MINUTE), leading=True, flush_at=2),
    "quiet": Rule(after(30 * MINUTE), quiet=HOUR),
    "three": Rule(after(2 * HOUR), flush_at=3),
    "pairs": Rule(after(30 * MINUTE), slides=(30 * MINUTE, HOUR), flush_at=2),
    "few": Rule(after(30 * MINUTE)),
    "calendar": Rule(_calendar),
    "until": Rule(_until),
    "before": Rule(_before),
    "property": Rule(_property),
}
HOSTS = {"likes": "fixed", "notes": "quiet"}
"""Whose events go into the digests of another policy."""
OWN_LEFT_OUT = ("slides", "notes")
MINIMUM = {"few": 2}
CATEGORY = {"fixed": "social", "likes": "social", "slides": "social", "quiet": "work"}
POLICIES = [*RULES, *HOSTS]
ENDS = [None, "soon", 20, 70, -10]
"""What events say about their end: nothing, nonsense, or so many minutes from them."""


def declare() -> None:
    """Register them, each with the key that its events' data name."""
    declared: dict[str, dict[str, Any]] = {
        "fixed": {"window": HOUR},
        "slides": {"window": Sliding(45 * MINUTE, max=HOUR)},
        "leading": {"window": 45 * MINUTE, "leading": True},
        "wave": {"window": Sliding(30 * MINUTE, max=90 * MINUTE), "leading": True, "flush_at": 2},
        "quiet": {"window": 30 * MINUTE, "quiet": HOUR},
        "three": {"window": 2 * HOUR, "flush_at": 3},
        "pairs": {"window": Sliding(30 * MINUTE, max=HOUR), "flush_at": 2},
        "few": {"window": timedelta(minutes=30), "minimum": 2},
        "calendar": {"window": Calendar("30 2,20 * * *", "Europe/Rome")},
        "until": {"window": Until("data.ends_at", fallback=40 * MINUTE)},
        "before": {"window": Before("data.ends_at", 30 * MINUTE, fallback=40 * MINUTE)},
        "property": {"window": FromProperty("recipient.every", fallback=50 * MINUTE)},
        "likes": {"digest": "fixed"},
        "notes": {"digest": "quiet"},
    }
    for name, given in declared.items():
        own: dict[str, Any] = {} if name in HOSTS else {"key": "data.page", "channel": list(BOTH)}
        category = CATEGORY.get(name, "")
        register(Policy(name=name, category=category, leaves_out_own=name in OWN_LEFT_OUT, **own, **given))
