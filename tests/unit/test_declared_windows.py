"""Windows as policies declare them: what an event and a recipient bring along, and what if they bring none."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from pgsupervise.django_app import fallbacks
from pgsupervise.django_app.policies import Before, Calendar, FromProperty, Until
from pgsupervise.django_app.windows import Window
from pgsupervise.metrics import instruments
from pgsupervise.partitions.rows import PendingEvent, Person
from pgsupervise.partitions.windows import LONGEST

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "_made", {})
    monkeypatch.setattr(fallbacks, "_warned", {})


def end(window: Window, data: Any = None, person: Person | None = None, at: datetime = NOON) -> datetime:
    assert window.problems() == []
    text = data if data is None or isinstance(data, str) else json.dumps(data)
    return window.rule("p").opens(PendingEvent(1, "p", "ada", "", "", at, "event", text), person)


def fallen_back(reason: str) -> float:
    labels = {"policy": "p", "reason": reason}
    return instruments.current().registry.get_sample_value("pgsupervise_window_fallbacks_total", labels) or 0


def person(zone: str = "", **properties: Any) -> Person:
    return Person(recipient="ada", time_zone=zone, properties=properties)


def test_a_calendar_follows_the_recipients_clock_then_the_policys() -> None:
    window = Calendar("0 9 * * *", "Europe/Rome")
    assert end(window, person=person("America/New_York")) == datetime(2026, 3, 1, 14, tzinfo=UTC)
    assert end(window, person=person()) == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert end(window) == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert fallen_back("zone") == 0


@override_settings(TIME_ZONE="Asia/Tokyo")
def test_a_calendar_without_a_zone_follows_the_projects_clock() -> None:
    assert end(Calendar("0 9 * * *")) == datetime(2026, 3, 2, 0, tzinfo=UTC)


def test_a_recipients_zone_that_is_none_is_counted_and_does_without() -> None:
    assert end(Calendar("0 9 * * *", "Europe/Rome"), person=person("Mars")) == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert fallen_back("zone") == 1


def test_a_batch_takes_events_until_a_time() -> None:
    window = Until("data.trip.ends_at", fallback=DAY)
    assert end(window, {"trip": {"ends_at": "2026-03-01T20:00:00+02:00"}}) == NOON + 6 * HOUR
    assert end(Until(NOON + 2 * HOUR)) == NOON + 2 * HOUR
    assert end(Until("recipient.home_at", fallback=DAY), person=person(home_at="2026-03-01T13:00:00Z")) == NOON + HOUR
    assert (window.reads_data, window.reads_person) == (True, False)
    assert (Until(NOON).reads_data, Until(NOON).reads_person) == (False, False)


def test_a_batch_closes_before_a_time() -> None:
    window = Before("data.starts_at", HOUR, fallback=DAY)
    assert end(window, {"starts_at": "2026-03-01T18:00:00Z"}) == NOON + 5 * HOUR
    assert window.reads_data


def test_a_time_in_the_past_closes_at_once_and_one_in_the_far_future_in_ten_years() -> None:
    assert end(Until(NOON - DAY)) == NOON
    assert end(Until("data.at", fallback=DAY), {"at": "0001-01-01T00:00:00Z"}) == NOON
    assert end(Before("data.at", HOUR, fallback=DAY), {"at": "2026-03-01T12:30:00Z"}) == NOON
    assert end(Until("data.at", fallback=DAY), {"at": "9999-12-31T00:00:00Z"}) == NOON + LONGEST
    assert (fallen_back("bad"), fallen_back("missing")) == (0, 0)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (90, 90 * timedelta(seconds=1)),
        (0.5, timedelta(seconds=0.5)),
        (0, timedelta(0)),
        ("PT15M", 15 * MINUTE),
        ("P1DT1H", DAY + HOUR),
        ("1:30:00", 1.5 * HOUR),
        ("0 9 * * *", 20 * HOUR),  # in Rome
    ],
)
def test_a_property_is_a_length_or_a_cron_rule(value: Any, length: timedelta) -> None:
    assert end(FromProperty("data.every", fallback=DAY, zone="Europe/Rome"), {"every": value}) == NOON + length
    of_person = FromProperty("recipient.every", fallback=DAY)
    assert end(of_person, person=person("Europe/Rome", every=value)) == NOON + length
    assert of_person.reads_person
    assert not of_person.reads_data


@pytest.mark.parametrize("window", [Until("data.at", DAY), Before("data.at", HOUR, DAY), FromProperty("data.at", DAY)])
@pytest.mark.parametrize(
    "value",
    [
        True, "", "soon", [], {}, -5, 1e400, 1e300, float("nan"), "2026-03-01T12:00:00", "P99999999999D", "-PT1H",
        "99 9 * * *", "0 0 30 2 *", "9" * 5000, "0001-01-01T00:00:00+14:00" + "x",
    ],
)  # fmt: skip
def test_a_bad_value_gives_the_fallback_a_warning_and_a_count(
    window: Window, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pgsupervise"):
        assert end(window, {"at": value}) == NOON + DAY
        assert end(window, {"at": value}) == NOON + DAY
    assert fallen_back("bad") == 2
    (record,) = caplog.records  # the same warning once a minute
    assert record.getMessage().startswith("window of policy p has its fallback: data.")
    fields: Any = getattr(record, "fields", {})
    assert (fields["policy"], fields["what"], fields["reason"]) == ("p", "data.at", "bad")


@pytest.mark.parametrize("data", [None, "{}", {"other": 1}, {"at": None}, "[]", '{"x": {"at": 5}}'])
def test_a_missing_value_gives_the_fallback(data: Any) -> None:
    assert end(FromProperty("data.at", fallback=DAY), data) == NOON + DAY
    assert fallen_back("missing") == 1


def test_data_that_python_cannot_decode_gives_the_fallback() -> None:
    assert end(FromProperty("data.at", fallback=DAY), "[" * 100_000) == NOON + DAY
    assert end(Until("data.at", fallback=DAY), '{"at": 1e5') == NOON + DAY
    assert fallen_back("bad") == 2


def test_a_recipient_of_whom_nothing_is_stored_has_the_fallback() -> None:
    assert end(FromProperty("recipient.every", fallback=DAY)) == NOON + DAY
    assert fallen_back("missing") == 1


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (
            Calendar("61 9 * * *", "Mars"),
            ["cron rule is '61 9 * * *': its minute is '61': it is of 0-59, or *", "zone is 'Mars': give an IANA name"],
        ),
        (Calendar("0 9 30 2 *"), ["cron rule is '0 9 30 2 *': day '30' of month '2' never comes"]),
        (Calendar("0 9 * * moon"), ["its day of the week is 'moon': it is of 0-7 or sun-sat"]),
        (Calendar("0 0 9 * * *"), ["five fields"]),
        (Calendar(5), ["cron rule is 5: it must be a str"]),  # type: ignore[arg-type]
        (Calendar("0 9 * * *", 5), ["zone is 5"]),  # type: ignore[arg-type]
        (Until("date.ends_at", DAY), ["path is 'date.ends_at': no event can have that; give one of data.<name>"]),
        (Until("data.", DAY), ["path is 'data.'"]),
        (Until("data.ends_at"), ["fallback is None: it must be a timedelta"]),
        (Until(datetime(2026, 3, 1)), ["without a time zone"]),  # noqa: DTZ001
        (Before("starts_at", -HOUR, timedelta(0)), ["path is 'starts_at'", "lead is -1 day", "fallback is 0:00:00"]),
        (FromProperty("actor", 5, "x"), ["path is 'actor'", "fallback is 5", "zone is 'x'"]),  # type: ignore[arg-type]
        (FromProperty("data.a..b", LONGEST * 2), ["path is 'data.a..b'", "longer than 3660 days"]),
    ],
)
def test_a_faulty_window_tells_every_fault(window: Window, words: list[str]) -> None:
    problems = window.problems()
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
