"""Storing wishes: refused with the cure, or stored in one statement, whoever else is storing."""

import threading
from collections.abc import Iterator
from datetime import UTC, time, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from pgsupervise.django_app.models import Preference, Recipient, TenantPreference
from pgsupervise.django_app.policies import Policy, PolicyError, register
from pgsupervise.django_app.preferences import set_preference, set_recipient, set_tenant_preference
from pgsupervise.partitions.buckets import bucket_of
from tests.registries import own_registries

ANN = "ann@example.com"


@pytest.fixture(autouse=True)
def registered(db: str) -> Iterator[None]:
    with own_registries():
        both = ["sendgrid", "inbox"]
        register(Policy(name="news", window=timedelta(hours=1), channel=both, category="marketing"))
        register(Policy(name="likes", digest="news"))
        register(Policy(name="fixed", window=timedelta(hours=1), personal_window=False))
        register(Policy(name="security", window=timedelta(hours=1), required=True))
        yield


def stored(**of: Any) -> tuple[Any, ...]:
    row = Preference.objects.get(recipient=ANN, **of)
    return row.muted, row.channels, row.window


def test_a_wish_is_stored_and_changed_field_by_field() -> None:
    set_preference(ANN, policy="news", muted=True, channels=("sendgrid", "inbox"), window=timedelta(minutes=5))
    assert stored(policy="news", tenant="") == (True, ["inbox", "sendgrid"], {"every": 300})
    set_preference(ANN, policy="news", muted=None)
    set_preference(ANN, policy="news", window="0 9 * * mon-fri")
    assert stored(policy="news", tenant="") == (None, ["inbox", "sendgrid"], {"cron": "0 9 * * mon-fri"})
    set_preference(ANN, policy="news", channels=[], window={"every": 1.5})
    assert stored(policy="news", tenant="") == (None, [], {"every": 1.5})
    set_preference(ANN, tenant="acme", category="marketing", muted=False)
    assert stored(category="marketing", tenant="acme") == (False, None, None)
    assert set(Preference.objects.values_list("bucket", flat=True)) == {bucket_of(ANN)}
    assert Preference.objects.count() == 2


def test_a_tenants_word_and_a_recipients_facts_are_stored_in_the_same_way() -> None:
    set_tenant_preference("acme", muted=True)
    set_tenant_preference("acme", channels=["inbox"])
    row = TenantPreference.objects.get()
    assert (row.tenant, row.muted, row.channels) == ("acme", True, ["inbox"])
    set_recipient(ANN, time_zone="Europe/Rome", quiet_from=time(22), quiet_until=time(7))
    set_recipient(ANN, locale="pt-br", properties={"digest_hour": 9})
    set_recipient(ANN, time_zone="")
    person = Recipient.objects.get()
    assert (person.bucket, person.time_zone, person.locale) == (bucket_of(ANN), "", "pt-br")
    assert (person.quiet_from, person.quiet_until, person.properties) == (time(22), time(7), {"digest_hour": 9})
    set_recipient(ANN, quiet_from=None, quiet_until=None)
    assert Recipient.objects.get().quiet_until is None


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"policy": "nwes"}, PolicyError, "no policy is registered as 'nwes'"),
        ({"category": "sports"}, ValueError, "no policy has the category 'sports'.* use one of: marketing"),
        ({"policy": "news", "category": "marketing"}, ValueError, "give one of them"),
        ({"tenant": "x" * 101}, ValueError, "shorten it to 100"),
        ({"muted": "yes"}, TypeError, "must be True, False, or None"),
        ({"policy": "security", "muted": True}, ValueError, "'security' is required and cannot be muted"),
        ({"channels": "inbox"}, TypeError, "a list of channels' names"),
        ({"channels": ["pigeon"]}, ValueError, "there is no channel 'pigeon': use some of"),
        ({"policy": "news", "channels": ["null"]}, ValueError, "the policy 'news' has no channel 'null'"),
        ({"channels": [["inbox"]]}, ValueError, "there is no channel"),
        ({"window": timedelta(0)}, ValueError, "longer than zero"),
        ({"window": timedelta(days=4000)}, ValueError, "at most 3660 days"),
        ({"window": {"every": True}}, ValueError, "give ..every.: seconds"),
        ({"window": {"every": float("nan")}}, ValueError, "give ..every.: seconds"),
        ({"window": {"every": 60, "cron": "* * * * *"}}, ValueError, "it is no window"),
        ({"policy": "fixed", "window": "0 9 * * *"}, ValueError, "the same window for all"),
        ({"policy": "likes", "window": "0 9 * * *"}, ValueError, "goes into the digest of 'news': wish for its window"),
        ({"policy": "likes", "channels": ["inbox"]}, ValueError, "wish for its channels there"),
        ({"window": 60}, TypeError, "must be a timedelta"),
        ({"window": "hourly"}, ValueError, "it must have five fields"),
        ({"window": "0 25 * * *"}, ValueError, "give ..every.: seconds"),
        ({"window": "0 0 30 2 *"}, ValueError, "day '30' of month '2' never comes"),
        ({"window": "@daily @daily @daily @daily @daily"}, ValueError, "give ..every.: seconds"),
    ],
)
def test_what_nobody_could_obey_is_refused_with_the_cure(given: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        set_preference(ANN, **given)
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"time_zone": "Mars/Olympus"}, ValueError, "no IANA zone: use one such as Europe/Rome"),
        ({"time_zone": "+02:00"}, ValueError, "no IANA zone"),
        ({"time_zone": 2}, TypeError, "time_zone is 2"),
        ({"time_zone": None}, TypeError, "time_zone is None"),
        ({"locale": "Klingon!"}, ValueError, "use one such as pt-br"),
        ({"quiet_from": time(22)}, ValueError, "give both, or neither"),
        ({"quiet_from": time(22), "quiet_until": None}, ValueError, "give both"),
        ({"quiet_from": "22:00", "quiet_until": "07:00"}, TypeError, "datetime.time|time.22, 0"),
        ({"quiet_from": time(22, tzinfo=UTC), "quiet_until": time(7)}, TypeError, "without a zone"),
        ({"quiet_from": time(22), "quiet_until": time(22)}, ValueError, "make them different"),
        ({"properties": []}, TypeError, "must be a JSON object"),
        ({"properties": {"a": object()}}, TypeError, "properties"),
        ({"properties": {"a": "x" * 1_000_001}}, ValueError, "are allowed"),
    ],
)
def test_facts_that_cannot_be_are_refused_with_the_cure(given: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        set_recipient(ANN, **given)
    assert not Recipient.objects.exists()


@pytest.mark.parametrize("recipient", ["", "x" * 321, 7, "nul \x00"])
def test_what_is_no_recipient_is_refused(recipient: Any) -> None:
    for refuse in (set_preference, set_recipient):
        with pytest.raises((TypeError, ValueError), match="recipient is"):
            refuse(recipient)
    with pytest.raises(ValueError, match="tenant is empty"):
        set_tenant_preference("")


def test_many_at_once_lose_nothing() -> None:
    """One row at most for a level, and the fields of all of them in it."""
    faults: list[BaseException] = []
    begin = threading.Barrier(12)

    def wish(number: int) -> None:
        try:
            begin.wait()
            for _ in range(5):
                match number % 3:
                    case 0:
                        set_preference(ANN, policy="news", muted=True)
                    case 1:
                        set_preference(ANN, policy="news", channels=["inbox"])
                    case _:
                        set_preference(ANN, policy="news", window=timedelta(hours=2))
        except BaseException as error:
            faults.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=wish, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert stored() == (True, ["inbox"], {"every": 7200})


def test_a_wish_belongs_to_the_callers_transaction() -> None:
    with pytest.raises(KeyError), transaction.atomic():
        wish_and_fail()
    assert [*Preference.objects.all(), *Recipient.objects.all()] == []


def wish_and_fail() -> None:
    set_preference(ANN, muted=True)
    set_recipient(ANN, locale="de")
    raise KeyError


def test_a_wish_is_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        set_preference(ANN, muted=True)
    statements = [query["sql"].split()[0] for query in queries.captured_queries]
    assert [word for word in statements if word not in ("BEGIN", "COMMIT")] == ["INSERT"]
