"""The suppression list: what providers and people put there gets nothing, and says why."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection as django_connection
from django.db import transaction

from pgsupervise.django_app.addresses import AddressError
from pgsupervise.django_app.explaining import explain_recipient
from pgsupervise.django_app.models import Batch, Suppression
from pgsupervise.django_app.preferences import set_preference
from pgsupervise.django_app.previewing import preview, unsealed_of
from pgsupervise.django_app.provider_events import ProviderEvent, ProviderKind
from pgsupervise.django_app.suppressions import (
    reason_of,
    suppress,
    suppress_from_events,
    suppressions_of,
    unsuppress,
)
from pgsupervise.metrics.instruments import current
from pgsupervise.partitions.states import SuppressionReason
from tests.integration.test_notification_rows import ADA, NOON
from tests.integration.test_round_trips import traffic
from tests.integration.wishing import HOUR, Wishing, policy
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
ADMIN = "/admin/pgsupervise/suppression/"
SUPPRESSED, FOLDED = ("FILTERED", "suppressed"), ("FOLDED", "")


@pytest.fixture
def wishing(connect: Connect) -> Iterator[Wishing]:
    with own_registries():
        policy("news", channel="sendgrid")
        policy("security", channel="sendgrid", required=True)
        policy("both")
        yield Wishing(connect)


def event(kind: ProviderKind, address: str = ADA, reason: str = "", **changes: Any) -> ProviderEvent:
    given = {"event_id": "e1", "bucket": 1, "delivery_id": 2, "attempt": 1, "occurred_at": NOON, **changes}
    return ProviderEvent(kind=kind, address=address, reason=reason, **given)


def take(*events: ProviderEvent) -> int:
    with django_connection.cursor() as cursor:
        return suppress_from_events(cursor, events)


def reasons() -> list[tuple[str, str]]:
    return list(Suppression.objects.order_by("address", "reason").values_list("address", "reason"))


# At the seal


def test_a_digest_to_a_suppressed_address_is_sealed_without_a_message_and_its_events_say_why(wishing: Wishing) -> None:
    suppress(ADA.upper())
    wishing.event("news"), wishing.event("news"), wishing.event("security")
    wishing.event("news", recipient="ada")
    wishing.flush(NOON + HOUR)
    assert wishing.batches() == [("SEALED", "suppressed")] * 2
    assert wishing.events()[:3] == [SUPPRESSED] * 3
    assert wishing.sent_by() == []
    (newest, *_) = explain_recipient(ADA)
    assert newest.outcome == "filtered"
    assert "its address is on the suppression list" in newest.steps[-1].why


def test_where_there_is_another_channel_the_mail_is_refused_and_has_a_row_that_says_why(wishing: Wishing) -> None:
    take(event(ProviderKind.BOUNCE))
    wishing.event("both")
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [FOLDED]
    claimed = wishing.claim()
    assert [delivery.channel for delivery in claimed if delivery.is_doubtful] == ["inbox", "sendgrid"]
    assert list(wishing.look_again(claimed).values()) == ["suppressed: bounce"]
    rows = wishing.rows("SELECT channel, state, error, attempt FROM pgsupervise_delivery ORDER BY id")
    assert rows == [("inbox", "SENDING", "", 1), ("sendgrid", "REFUSED", "suppressed: bounce", 0)]


def test_who_has_unsubscribed_still_gets_what_is_required_and_who_has_complained_does_not(wishing: Wishing) -> None:
    take(event(ProviderKind.UNSUBSCRIBE))
    wishing.event("news"), wishing.event("security")
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [SUPPRESSED, FOLDED]
    assert wishing.look_again(wishing.claim()) == {}
    take(event(ProviderKind.SPAM_REPORT))
    wishing.event("security", NOON + 2 * HOUR)
    wishing.flush(NOON + 4 * HOUR)
    assert wishing.events()[2] == SUPPRESSED


def test_the_preview_says_that_nothing_would_be_sent(wishing: Wishing) -> None:
    wishing.event("news")
    wishing.flush(NOON)
    assert len(preview(Batch.objects.get()).messages) == 1
    with transaction.atomic():
        suppress(ADA)
        (batch,) = unsealed_of(ADA)
        shown = preview(batch)
        assert (shown.withheld, list(shown.messages), shown.error) == ("suppressed", [], "")
        assert Suppression.objects.exists(), "the caller's transaction is as it was"


# Just before sending


def test_who_is_suppressed_after_the_seal_gets_nothing(wishing: Wishing) -> None:
    wishing.event("news"), wishing.event("both")
    wishing.flush(NOON + HOUR)
    suppress(ADA)
    skipped = wishing.look_again(wishing.claim())
    assert list(skipped.values()) == ["suppressed: by hand"] * 2, "the mails, not the inbox's message"
    assert wishing.rows("SELECT DISTINCT state FROM pgsupervise_delivery WHERE channel = 'sendgrid'") == ["SKIPPED"]


def test_what_is_muted_too_is_skipped_for_that(wishing: Wishing) -> None:
    wishing.event("both")
    wishing.flush(NOON + HOUR)
    take(event(ProviderKind.BOUNCE))
    set_preference(ADA, muted=True)
    assert list(wishing.look_again(wishing.claim()).values()) == ["muted"] * 2


def test_the_look_at_the_list_costs_no_round_trip_of_its_own(wishing: Wishing) -> None:
    for hour in range(5):
        wishing.event("both", NOON + hour * HOUR)
    wishing.flush(NOON + 20 * HOUR)
    claimed = wishing.claim()
    with traffic(wishing.connection) as seen:
        assert wishing.look_again(claimed) == {}
    assert seen.waits == 0, "nobody is doubtful"
    suppress(ADA)
    with traffic(wishing.connection) as seen:
        assert len(wishing.look_again([one._replace(is_doubtful=True) for one in claimed])) == 5
    assert seen.waits == 3, "two to look, one to write"


def test_a_bad_address_refuses_its_own_delivery_and_nobody_else_s(wishing: Wishing) -> None:
    with own_registries():
        policy("nowhere", address=lambda recipient: "ann at example.com", channel=["inbox", "sendgrid"])
        wishing.event("nowhere"), wishing.event("news")
        wishing.flush(NOON + HOUR)
    counted = refused()
    skipped = wishing.look_again(wishing.claim())
    assert list(skipped.values()) == ["address 'ann at example.com' is no e-mail address"]
    rows = wishing.rows("SELECT policy, channel, state, attempt FROM pgsupervise_delivery ORDER BY policy, channel")
    assert rows == [
        ("news", "sendgrid", "SENDING", 1),
        ("nowhere", "inbox", "SENDING", 1),
        ("nowhere", "sendgrid", "REFUSED", 0),
    ]
    assert refused() == counted + 1


def refused() -> float:
    made = current()
    count: float = made.child(made.deliveries_finished, "sendgrid", "refused")._value.get()
    return count


# What fills it


@pytest.mark.parametrize(
    ("kind", "words", "reason"),
    [
        (ProviderKind.BOUNCE, "550 5.1.1 no such user", SuppressionReason.BOUNCE),
        (ProviderKind.BLOCKED, "421 try later", None),
        (ProviderKind.DEFERRED, "greylisted", None),
        (ProviderKind.DROPPED, "Bounced Address", SuppressionReason.DROP),
        (ProviderKind.DROPPED, "Invalid", SuppressionReason.DROP),
        (ProviderKind.DROPPED, "Spam Reporting Address", SuppressionReason.SPAM),
        (ProviderKind.DROPPED, " unsubscribed address\n", SuppressionReason.UNSUBSCRIBE),
        (ProviderKind.DROPPED, "Spam Content", None),
        (ProviderKind.DROPPED, "Invalid SMTPAPI header", None),
        (ProviderKind.DROPPED, "Recipient List over Package Quota", None),
        (ProviderKind.DROPPED, "", None),
        (ProviderKind.SPAM_REPORT, "", SuppressionReason.SPAM),
        (ProviderKind.UNSUBSCRIBE, "", SuppressionReason.UNSUBSCRIBE),
        (ProviderKind.GROUP_UNSUBSCRIBE, "", None),
        (ProviderKind.PROCESSED, "", None),
        (ProviderKind.DELIVERED, "", None),
    ],
)
def test_what_an_event_says_against_its_address(
    kind: ProviderKind, words: str, reason: SuppressionReason | None
) -> None:
    assert reason_of(event(kind, reason=words)) is reason


def test_every_kind_of_event_is_decided_about() -> None:
    decided = test_what_an_event_says_against_its_address.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {kind for kind, _, _ in decided} == set(ProviderKind)


@pytest.mark.usefixtures("db")
def test_order_and_repetition_of_events_do_not_matter_and_each_reason_is_kept_once() -> None:
    first = event(ProviderKind.BOUNCE, "ANN@Example.com", "550 gone\r\nX: y", event_id="b1")
    later = event(ProviderKind.BOUNCE, "ann@example.com", event_id="b2", occurred_at=NOON + HOUR)
    spam = event(ProviderKind.SPAM_REPORT, "ann@example.com")
    assert take(spam, later, first, later, event(ProviderKind.DELIVERED, "bob@example.com")) == 2
    assert take(first, spam, later) == 0
    assert take() == 0
    assert reasons() == [("ann@example.com", "bounce"), ("ann@example.com", "spam")]
    bounce = suppressions_of("Ann@EXAMPLE.com").get(reason="bounce")
    assert (bounce.event_id, bounce.note, bounce.occurred_at) == ("b1", "550 gone X: y", NOON)


@pytest.mark.usefixtures("db")
def test_an_event_about_what_is_no_address_is_passed_over() -> None:
    hostile = [
        "",
        "nobody",
        "a b@example.com",
        "ann@example.com\r\nBcc: eve@example.com",
        "x" * 5000,
        "\ud800@example.com",
    ]
    events = [event(ProviderKind.BOUNCE, address, "\0\ud800" * 2000) for address in hostile]
    assert take(*events, event(ProviderKind.BOUNCE, "bob@example.com", "\0\ud800" * 2000)) == 1
    assert reasons() == [("bob@example.com", "bounce")]


def test_two_hooks_with_the_same_addresses_in_any_order_wait_for_each_other_and_deadlock_never(
    connect: Connect,
) -> None:
    addresses = [f"u{number}@example.com" for number in range(50)]
    one, other = connect(), connect()
    with one.transaction(), one.cursor() as cursor:
        events = [event(ProviderKind.BOUNCE, address) for address in addresses]
        assert suppress_from_events(cursor, events) == 50
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable), other.cursor() as second:
            suppress_from_events(second, list(reversed(events)))
    with other.cursor() as second:
        assert suppress_from_events(second, list(reversed(events))) == 0


@pytest.mark.usefixtures("db")
def test_by_hand_it_is_added_once_and_everything_is_removed_together() -> None:
    assert suppress("Ann <ANN@example.com>", note="by\ntelephone") is True
    assert suppress("ann@example.com") is False
    take(event(ProviderKind.BOUNCE, "ann@example.com"))
    assert suppressions_of("ann@example.com").filter(reason="by hand").get().note == "by telephone"
    assert unsuppress("ANN@EXAMPLE.COM") == 2
    assert unsuppress("ann@example.com") == 0
    for function in (suppress, unsuppress, suppressions_of):
        with pytest.raises(AddressError, match="no e-mail address"):
            function("ann")


def test_a_batch_that_waits_for_its_window_is_not_touched(wishing: Wishing) -> None:
    suppress(ADA)
    wishing.event("news")
    wishing.flush(NOON + timedelta(minutes=1))
    assert wishing.batches() == [("OPEN", "")]
    unsuppress(ADA)
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [FOLDED]
