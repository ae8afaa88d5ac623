"""Windows, keys and hosts from notify() to the digest, through the tables."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pgsupervise.django_app.models import Event, Preference, Recipient, TenantPreference
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Before, Calendar, FromProperty, Policy, register
from pgsupervise.supervisor import flushing
from tests.integration.digesting import Worker
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture(autouse=True)
def policies(db: str) -> Iterator[None]:
    with own_registries():
        register(Policy(name="daily", window=Calendar("0 18 * * *", "Europe/Rome")))
        register(Policy(name="likes", digest="daily", leaves_out_own=True))
        register(Policy(name="trips", window=Before("data.starts_at", HOUR, fallback=DAY), key="data.trip"))
        register(Policy(name="own-pace", window=FromProperty("recipient.every", fallback=DAY)))
        register(Policy(name="chatter", window=HOUR, category="social"))
        register(Policy(name="leading", window=HOUR, leading=True, flush_at=3))
        register(Policy(name="quiet", window=HOUR, quiet=10 * MINUTE))
        yield


@pytest.fixture
def worker(connect: Connect, policies: None) -> Worker:
    return Worker(connect, ADA, BOB)


def ends(worker: Worker) -> list[datetime]:
    return [closes_at for *_, closes_at in worker.open_batches()]


def test_a_calendar_window_ends_on_the_recipients_clock(worker: Worker) -> None:
    Recipient.objects.create(recipient=BOB, time_zone="America/New_York")
    for whom in (ADA, BOB):
        notify("daily", whom, occurred_at=NOON)
    worker.turn(NOON)
    assert sorted(ends(worker)) == [NOON + 5 * HOUR, NOON + 11 * HOUR]


def test_several_policies_make_one_digest_without_ones_own_doings(worker: Worker) -> None:
    ids = [
        notify("daily", ADA, occurred_at=NOON),
        notify("likes", ADA, actor=BOB, occurred_at=NOON),
        notify("likes", ADA, actor=ADA, occurred_at=NOON),
    ]
    worker.turn(NOON + DAY)
    assert worker.digests() == [ids[:2]]
    assert worker.left_out() == [(ids[2], "own action")]


def test_a_window_ends_before_what_its_first_event_says_for_each_key(worker: Worker) -> None:
    starts_at = {"starts_at": "2026-03-01T20:00:00+01:00"}
    notify("trips", ADA, {"trip": 1, **starts_at}, occurred_at=NOON)
    notify("trips", ADA, {"trip": 1, "starts_at": "2026-03-01T23:00:00Z"}, occurred_at=NOON + MINUTE)
    notify("trips", ADA, {"trip": 2}, occurred_at=NOON)
    worker.turn(NOON + 2 * MINUTE)
    assert {(key, closes_at) for _, _, key, closes_at in worker.open_batches()} == {
        ("1", NOON + 6 * HOUR),
        ("2", NOON + DAY),
    }


def test_a_recipients_property_is_the_length_of_its_window(worker: Worker) -> None:
    Recipient.objects.create(recipient=ADA, properties={"every": "PT20M"})
    notify("own-pace", ADA, occurred_at=NOON)
    notify("own-pace", BOB, occurred_at=NOON)
    worker.turn(NOON)
    assert sorted(ends(worker)) == [NOON + 20 * MINUTE, NOON + DAY]


def test_wishes_are_found_where_they_are_stored(worker: Worker) -> None:
    Preference.objects.create(recipient=ADA, category="social", window={"every": 300})
    TenantPreference.objects.create(tenant="acme", window={"every": 600})
    for whom in (ADA, BOB, BOB):
        notify("chatter", whom, occurred_at=NOON)
    Event.objects.filter(id=3).update(tenant="acme")
    worker.turn(NOON)
    assert sorted(ends(worker)) == [NOON + 5 * MINUTE, NOON + 10 * MINUTE, NOON + HOUR]


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_what_goes_at_once_and_what_waits_does_not_depend_on_how_it_is_folded(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(flushing, "FOLD_CHUNK", chunk)
    for minute in (0, 1, 2, 3, 4, 5, 70, 71):
        notify("leading", ADA, occurred_at=NOON + minute * MINUTE)
    for minute in (0, 5, 9, 80, 95, 100):
        notify("quiet", BOB, occurred_at=NOON + minute * MINUTE)
    worker.turn(NOON + DAY)
    assert sorted(worker.digests()) == [[1], [2, 3, 4], [5], [6], [7], [8], [9], [10, 11], [12], [13], [14]]


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_worker_that_looks_every_minute_makes_the_same_digests(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(flushing, "FOLD_CHUNK", chunk)
    for minute in range(0, 110, 5):
        worker.turn(NOON + minute * MINUTE)
        if minute in (0, 5, 10, 80, 95, 100):
            notify("quiet", BOB, occurred_at=NOON + minute * MINUTE)
        worker.turn(NOON + minute * MINUTE)
    worker.turn(NOON + DAY)
    assert sorted(worker.digests()) == [[1], [2, 3], [4], [5], [6]]
