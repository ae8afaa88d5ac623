"""Just before it is sent, a message is looked at again: what was wished at the seal may no longer be."""

from collections.abc import Callable, Iterator
from datetime import time
from typing import Any

import psycopg
import pytest

from pgsupervise.django_app import policies, preferences_sealing
from pgsupervise.django_app.policies import Cap, Policy
from pgsupervise.django_app.preferences import set_preference, set_recipient, set_tenant_preference
from pgsupervise.metrics.instruments import current
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState
from tests.integration.test_notification_rows import ADA, BUCKET, NOON
from tests.integration.test_round_trips import traffic
from tests.integration.wishing import HOUR, Wishing, policy
from tests.registries import own_registries


@pytest.fixture
def wishing(connect: Callable[[], psycopg.Connection]) -> Iterator[Wishing]:
    with own_registries():
        policy("news", category="marketing")
        policy("security", required=True)
        yield Wishing(connect)


def sealed(wishing: Wishing, *policies: str, **of: Any) -> None:
    for name in policies:
        wishing.event(name, **of)
    wishing.flush(NOON + HOUR)


def states(wishing: Wishing) -> list[Any]:
    return wishing.rows("SELECT channel, state, error, attempt FROM pgsupervise_delivery ORDER BY id")


def test_who_has_muted_the_policy_since_the_seal_gets_nothing(wishing: Wishing) -> None:
    sealed(wishing, "news", "security")
    set_preference(ADA, category="marketing", muted=True)
    claimed = wishing.claim()
    assert len(claimed) == 4
    counted = skipped_by_inbox()
    skipped = wishing.look_again(claimed)
    assert skipped == {delivery.id: "muted" for delivery in claimed if delivery.policy == "news"}
    assert [row for row in states(wishing) if row[1] == "SKIPPED"] == [
        ("inbox", "SKIPPED", "muted", 0),
        ("sendgrid", "SKIPPED", "muted", 0),
    ]
    assert skipped_by_inbox() == counted + 1
    assert wishing.claim() == [], "it is not tried again"


def skipped_by_inbox() -> float:
    made = current()
    count: float = made.child(made.deliveries_finished, "inbox", "skipped")._value.get()
    return count


def test_who_has_opted_out_of_a_channel_since_the_seal_gets_nothing_by_it(wishing: Wishing) -> None:
    sealed(wishing, "news")
    set_preference(ADA, channels=["inbox"])
    wishing.look_again(wishing.claim())
    assert states(wishing) == [("inbox", "SENDING", "", 1), ("sendgrid", "SKIPPED", "no longer wished by sendgrid", 0)]


def test_what_was_sealed_for_a_channel_that_the_policy_gave_up_is_sent(wishing: Wishing) -> None:
    sealed(wishing, "news")
    set_preference(ADA, channels=["inbox"])
    claimed = wishing.claim()
    policies._registry["news"] = Policy(name="news", window=HOUR, channel="inbox")
    assert wishing.look_again(claimed) == {}


def test_a_policy_that_this_code_does_not_know_is_muted_by_its_name(wishing: Wishing) -> None:
    sealed(wishing, "news")
    set_preference(ADA, policy="news", muted=True)
    claimed = wishing.claim()
    del policies._registry["news"]
    assert set(wishing.look_again(claimed).values()) == {"muted"}


def test_a_digest_whose_items_have_all_been_read_is_not_sent(wishing: Wishing) -> None:
    sealed(wishing, "news", "news")
    wishing.connection.execute("UPDATE pgsupervise_event SET read_at = now() WHERE id = 1")
    claimed = wishing.claim()
    assert all(delivery.is_doubtful for delivery in claimed)
    assert wishing.look_again(claimed) == {}, "one of them is not read"
    wishing.connection.execute("UPDATE pgsupervise_event SET read_at = now()")
    assert wishing.look_again(claimed) == {delivery.id: "read" for delivery in claimed}


@pytest.mark.parametrize(
    ("muted", "read", "reason"),
    [
        (["digest"], [], ""),
        (["news"], [], ""),
        (["digest", "news"], [], "muted"),
        (["digest"], ["news"], "muted"),
        (["news"], ["digest"], "muted"),
        ([], ["digest", "news"], "read"),
    ],
)
def test_a_digest_of_several_policies_goes_while_one_of_them_is_wished_and_not_read(
    wishing: Wishing, muted: list[str], read: list[str], reason: str
) -> None:
    policy("digest", channel="inbox")
    wishing.hosts = {"news": "digest"}
    sealed(wishing, "digest", "news")
    for name in muted:
        set_preference(ADA, policy=name, muted=True)
    wishing.connection.execute("UPDATE pgsupervise_event SET read_at = now() WHERE policy = ANY(%s)", [read])
    assert list(wishing.look_again(wishing.claim()).values()) == ([reason] if reason else [])


def failed(wishing: Wishing, claimed: list[ClaimedDelivery]) -> None:
    """Write down that the deliveries were not sent, and are to be tried again at once."""
    again = [SentDelivery(delivery, DeliveryState.RETRYING, error="HTTP 503") for delivery in claimed]
    deliveries.finish_deliveries(wishing.connection, wishing.owner, {(BUCKET, wishing.epochs[BUCKET]): again})


def test_a_retry_that_comes_in_the_quiet_hours_waits_for_their_end_and_stays_as_it_is(wishing: Wishing) -> None:
    set_recipient(ADA, time_zone="UTC", quiet_from=time(22), quiet_until=time(7))
    sealed(wishing, "news", "security")
    failed(wishing, wishing.claim())
    wishing.clock(NOON + 12 * HOUR)
    before = wishing.rows("SELECT payload FROM pgsupervise_delivery ORDER BY id")
    morning = NOON + 19 * HOUR
    claimed = wishing.claim()
    assert all(delivery.is_doubtful for delivery in claimed)
    assert set(wishing.look_again(claimed).values()) == {f"WAITING until {morning}"}
    assert set(states(wishing)) == {(name, "WAITING", "HTTP 503", 1) for name in ("inbox", "sendgrid")}
    assert wishing.rows("SELECT DISTINCT not_before FROM pgsupervise_delivery") == [morning]
    assert wishing.claim() == []
    wishing.clock(morning)
    claimed = wishing.claim()
    assert [delivery.attempt for delivery in claimed] == [2] * 4
    assert wishing.look_again(claimed) == {}
    assert wishing.rows("SELECT payload FROM pgsupervise_delivery ORDER BY id") == before


def test_what_was_put_off_goes_no_nearer_to_the_next_one_than_the_cap_allows(wishing: Wishing) -> None:
    policy("capped", cap=Cap(1, per=24 * HOUR), channel="sendgrid")
    for hour in (0, 2, 4):
        wishing.event("capped", NOON + hour * HOUR)
    wishing.flush(NOON + 6 * HOUR)
    first = wishing.claim()
    assert wishing.look_again(first) == {}
    failed(wishing, first)
    late = NOON + 90 * HOUR
    wishing.clock(late)
    claimed = wishing.claim()
    assert len(claimed) == 3, "all that were planned are late by now"
    waits = wishing.look_again(claimed)
    assert waits == {
        claimed[1].id: f"WAITING until {late + 24 * HOUR}",
        claimed[2].id: f"WAITING until {late + 48 * HOUR}",
    }


def test_a_digest_does_not_stand_in_its_own_way_by_another_channel(wishing: Wishing) -> None:
    policy("capped", cap=Cap(1, per=24 * HOUR))
    sealed(wishing, "capped")
    inbox, sendgrid = wishing.claim()
    accepted = {(BUCKET, wishing.epochs[BUCKET]): [SentDelivery(inbox, DeliveryState.ACCEPTED)]}
    deliveries.finish_deliveries(wishing.connection, wishing.owner, accepted)
    failed(wishing, [sendgrid])
    assert wishing.look_again(wishing.claim()) == {}


def test_a_wish_that_changes_nothing_lets_the_message_go(wishing: Wishing) -> None:
    sealed(wishing, "news", tenant="acme")
    set_preference(ADA, policy="news", muted=False)
    set_tenant_preference("acme", muted=True)
    assert wishing.look_again(wishing.claim()) == {}, "its own word counts"


def test_a_tenants_new_word_counts_for_a_recipient_with_wishes(wishing: Wishing) -> None:
    sealed(wishing, "news", tenant="acme")
    set_preference(ADA, channels=["inbox"])
    set_tenant_preference("acme", muted=True)
    assert set(wishing.look_again(wishing.claim()).values()) == {"muted"}


def test_a_tenants_new_word_counts_for_those_of_whom_nothing_is_stored(wishing: Wishing) -> None:
    sealed(wishing, "news", tenant="acme")
    sealed(wishing, "news", tenant="other")
    set_tenant_preference("acme", policy="news", muted=True)
    claimed = wishing.claim()
    assert [delivery.is_doubtful for delivery in claimed] == [True, True, False, False]
    assert list(wishing.look_again(claimed).values()) == ["muted", "muted"]


def test_where_nobody_wishes_anything_nothing_is_read(wishing: Wishing) -> None:
    sealed(wishing, "news")
    claimed = wishing.claim()
    assert not any(delivery.is_doubtful for delivery in claimed)
    with traffic(wishing.connection) as seen:
        assert wishing.look_again(claimed) == {}
    assert (seen.statements, seen.waits) == (0, 0)


def test_the_second_look_is_two_round_trips_however_many_are_doubtful(wishing: Wishing) -> None:
    for hour in range(9):
        wishing.event("news", NOON + hour * HOUR)
    wishing.flush(NOON + 20 * HOUR)
    set_preference(ADA, muted=False)
    claimed = wishing.claim()
    assert len(claimed) == 18
    with traffic(wishing.connection) as seen:
        wishing.look_again(claimed)
    assert seen.waits == 2


def test_a_fault_of_the_projects_own_skips_nothing(wishing: Wishing, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(wishing, "news")
    set_preference(ADA, muted=True)
    monkeypatch.setattr(preferences_sealing, "wishes_of", lambda *asked: 1 / 0)
    assert wishing.look_again(wishing.claim()) == {}
