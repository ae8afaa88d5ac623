"""The windows that recipients and tenants wish for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgsupervise.django_app import fallbacks
from pgsupervise.django_app.personal_windows import personal_rule, wish_problems
from pgsupervise.django_app.policies import Calendar, Policy
from pgsupervise.metrics import instruments
from pgsupervise.partitions.rows import PendingEvent, Person, Preference

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "_made", {})
    monkeypatch.setattr(fallbacks, "_warned", {})


def wish(window: Any, tenant: str = "", policy: str = "", category: str = "") -> Preference:
    return Preference(tenant, policy, category, None, None, window)


def person(*wishes: Preference, prescribed: tuple[Preference, ...] = (), zone: str = "") -> Person:
    return Person(recipient="ada", time_zone=zone, preferences=wishes, tenant_preferences=prescribed)


def end(policy: Policy, whose: Person, tenant: str = "") -> datetime:
    rule = personal_rule(policy)
    assert rule is not None
    return rule(whose, tenant).opens(PendingEvent(1, policy.name, "ada", tenant, "", NOON), whose)


HOURLY = Policy(name="p", window=HOUR, category="social")


@pytest.mark.parametrize(
    ("window", "length"),
    [
        ({"every": 60}, MINUTE),
        ({"sliding": 60, "max": 3600}, MINUTE),
        ({"cron": "30 12 * * *"}, 30 * MINUTE),
        ({"at_once": True}, timedelta(0)),
        (None, HOUR),
    ],
)
def test_a_wish_goes_before_the_policys_window(window: Any, length: timedelta) -> None:
    assert end(HOURLY, person(wish(window))) == NOON + length
    assert window is None or wish_problems(window) == []


def test_a_wished_calendar_follows_the_recipients_clock() -> None:
    wished = wish({"cron": "0 9 * * *"})
    assert end(HOURLY, person(wished, zone="America/New_York")) == NOON + 2 * HOUR
    in_rome = Policy(name="p", window=Calendar("0 18 * * *", "Europe/Rome"))
    assert end(in_rome, person(wished)) == NOON + 20 * HOUR


def test_a_wish_keeps_what_else_the_policy_says() -> None:
    rule = personal_rule(Policy(name="p", window=HOUR, flush_at=7, leading=True))
    assert rule is not None
    wished = rule(person(wish({"sliding": 60, "max": 120})), "")
    assert (wished.window, wished.sliding_max, wished.flush_at, wished.leading) == (MINUTE, 2 * MINUTE, 7, True)
    at_once = rule(person(wish({"at_once": True})), "")
    assert not at_once.leading, "the first one would go at once, and leave an empty batch behind"


@pytest.mark.parametrize(
    ("window", "word"),
    [
        (5, "no window"),
        ({}, "no window"),
        ({"every": 60, "max": 60}, "no window"),
        ({"every": 0}, "longer than zero"),
        ({"every": "60"}, "numbers of seconds"),
        ({"every": 1e12}, "3660 days"),
        ({"every": True}, "no duration"),
        ({"sliding": 60}, "no window"),
        ({"sliding": 60, "max": 30}, "Sliding's max 0:00:30 is shorter than its length 0:01:00: raise max"),
        ({"cron": "0 9 * *"}, "five fields"),
        ({"cron": None}, "must be a str"),
        ({"at_once": False}, "no window"),
    ],
)
def test_a_bad_wish_is_told_with_its_cure_and_changes_nothing(window: Any, word: str) -> None:
    (problem,) = wish_problems(window)
    assert word in problem
    assert '{"every": seconds}' in problem
    assert end(HOURLY, person(wish(window))) == NOON + HOUR
    labels = {"policy": "p", "reason": "wish"}
    assert instruments.current().registry.get_sample_value("pgsupervise_window_fallbacks_total", labels) == 1


def test_a_policy_may_leave_wishes_aside() -> None:
    assert personal_rule(Policy(name="p", window=HOUR, personal_window=False)) is None
    daily = Policy(name="p", window=Calendar("0 9 * * *"), personal_window=False)
    assert end(daily, person(wish({"every": 60}), zone="America/New_York")) == NOON + 2 * HOUR


def test_the_recipients_wish_goes_before_the_tenants() -> None:
    prescribed = (wish({"every": 120}, tenant="acme"), wish({"every": 240}, tenant="other"))
    assert end(HOURLY, person(prescribed=prescribed), "acme") == NOON + 2 * MINUTE
    assert end(HOURLY, person(wish({"every": 60}), prescribed=prescribed), "acme") == NOON + MINUTE
    assert end(HOURLY, person(prescribed=prescribed)) == NOON + HOUR
