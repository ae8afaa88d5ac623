"""Just before it is sent, a message is looked at again: what was wished at the seal may no longer be."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pgsupervise.django_app import policies, preferences_sealing
from pgsupervise.django_app.policies import Policy
from pgsupervise.django_app.preferences import set_preference, set_tenant_preference
from pgsupervise.metrics.instruments import current
from tests.integration.test_notification_rows import ADA, NOON
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
