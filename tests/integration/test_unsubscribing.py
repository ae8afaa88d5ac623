"""Unsubscribing by one click (RFC 8058): what mail programs and people send, and what it does to preferences."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.test import Client, override_settings

from pgsupervise.django_app import policies
from pgsupervise.django_app.models import Batch, Preference
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.preferences import set_preference, set_recipient
from pgsupervise.django_app.unsubscribe_links import Level, token_of
from pgsupervise.django_app.unsubscribing import unsubscribe
from tests.integration.test_notification_rows import ADA
from tests.integration.test_rendering import NOON, batch, item, payload
from tests.integration.wishing import Wishing
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
HOUR = timedelta(hours=1)
ANN = "ann@example.com"
GIVEN = {"BASE_URL": "https://shop.example/", "FROM_EMAIL": "Shop <hello@shop.example>"}
TOLD = [("", "news-letter", "", True), ("", "offers", "", True)]
"""The newsletter's policy and the one whose events go into it."""
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with own_registries(), override_settings(PGSUPERVISE=GIVEN):
        policies._registry.clear()
        register(Policy(name="news-letter", window=HOUR, channel="sendgrid", category="marketing"))
        register(Policy(name="offers", digest="news-letter", category="shopping"))
        register(Policy(name="hints", window=HOUR, channel="sendgrid", category="marketing"))
        register(Policy(name="plain", window=HOUR, channel=["inbox", "sendgrid"]))
        register(Policy(name="security", window=HOUR, channel="sendgrid", required=True))
        yield


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def stored(policy: str = "news-letter", tenant: str = "", recipient: str = ANN) -> Batch:
    """Insert a digest's batch."""
    return Batch.objects.create(
        policy=policy,
        recipient=recipient,
        tenant=tenant,
        state="SEALED",
        opened_at=NOON,
        closes_at=NOON,
        deliver_at=NOON,
        item_count=1,
        sealed_at=NOON,
    )


def url(of: Batch, level: Level = Level.POLICY) -> str:
    return f"/notifications/unsubscribe/{token_of(of.bucket, of.pk, level)}/"


def wishes(recipient: str = ANN) -> list[Any]:
    rows = Preference.objects.filter(recipient=recipient).order_by("tenant", "policy", "category")
    return list(rows.values_list("tenant", "policy", "category", "muted"))


# The link


def test_the_link_in_the_header_unsubscribes_by_a_post_without_cookie_login_redirect_or_csrf(
    db: str, client: Client
) -> None:
    digest = stored()
    rendered = payload(batch(item(1), policy="news-letter"))
    prefix = urlsplit(rendered["headers"]["List-Unsubscribe"][1:-1]).path.rpartition("/unsubscribe/")[0]
    answer = client.post(url(digest).replace("/notifications", prefix), ONE_CLICK)
    assert (answer.status_code, answer.content) == (200, b"Unsubscribed.\n")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert "Set-Cookie" not in answer.headers
    assert client.cookies == {}
    assert wishes() == TOLD
    assert client.post(url(digest), ONE_CLICK).status_code == 200, "as often as it is sent"
    assert wishes() == TOLD


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"--x\r\nContent-Disposition: form-data", "multipart/form-data; boundary=x"),
        (b"\xff\xfe" * 100, "multipart/form-data"),
        (b"{", "application/json"),
    ],
)
def test_whatever_a_mail_program_sends_the_token_counts(db: str, client: Client, body: bytes, kind: str) -> None:
    assert client.post(url(stored()), body, content_type=kind).status_code == 200
    assert wishes() == TOLD


def test_a_get_shows_a_page_and_changes_nothing(db: str, client: Client) -> None:
    digest = stored()
    page = client.get(url(digest))
    assert (page.status_code, client.head(url(digest)).status_code) == (200, 200)
    assert "Set-Cookie" not in page.headers
    assert page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]
    text = page.content.decode()
    assert ANN not in text, "whoever was forwarded the mail learns nothing"
    assert "Unsubscribe from “News letter”" in text
    assert wishes() == []
    for method in ("put", "delete", "patch"):
        assert getattr(client, method)(url(digest)).status_code == 405
    assert wishes() == []


def test_the_page_s_buttons_do_what_they_say_and_show_a_page(db: str, client: Client) -> None:
    text = client.get(url(stored())).content.decode()
    actions = re.findall(r'action="([^"]+)"', text)
    assert len(actions) == 3
    done = client.post(actions[1], {})
    assert done.status_code == 200
    assert "You are unsubscribed" in done.content.decode()
    assert "href" not in done.content.decode(), "who has an old link gets no new one to the preferences"
    assert wishes() == [("", "", "marketing", True), ("", "offers", "", True)]
    assert len(re.findall(r'action="([^"]+)"', client.get(url(stored("plain"))).content.decode())) == 2, "no category"


def test_the_page_is_in_the_recipient_s_language(db: str, client: Client) -> None:
    set_recipient(ANN, locale="de_AT")
    page = client.get(url(stored())).content.decode()
    assert "„News letter“ abbestellen" in page
    assert '<html lang="de"' in page


@override_settings(
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ],
    SECURE_SSL_REDIRECT=True,
)
def test_a_project_that_asks_everybody_to_log_in_does_not_ask_here(db: str, client: Client) -> None:
    assert client.post(url(stored()), ONE_CLICK, secure=True).status_code == 200
    assert client.get(url(stored()), secure=True).status_code == 200
    assert wishes() == TOLD


def test_a_link_that_is_not_ours_or_whose_digest_is_gone_changes_nothing_and_says_no_more(
    db: str, client: Client
) -> None:
    digest = stored()
    other = f"/notifications/unsubscribe/{token_of(digest.bucket, digest.pk + 1)}/"
    forged = f"{url(digest)[:-2]}x/"
    elsewhere = f"/notifications/unsubscribe/{token_of((digest.bucket + 1) % 256, digest.pk)}/"
    for link in (other, forged, elsewhere, "/notifications/unsubscribe/%00/"):
        answer = client.post(link, ONE_CLICK)
        assert (answer.status_code, answer.content) == (404, b"No such link.\n")
        assert client.get(link).status_code == 404
    assert unsubscribe(token_of(digest.bucket, digest.pk + 1)) is False
    assert wishes() == []


# What it does


def test_in_a_digest_of_several_policies_it_is_the_digest_that_stops(db: str) -> None:
    assert unsubscribe(token_of_batch(stored("news-letter")))
    assert wishes() == TOLD


def test_a_guest_of_another_category_stops_with_the_digest_s_category_too(db: str) -> None:
    set_preference(ANN, policy="offers", muted=False)
    unsubscribe(token_of_batch(stored("news-letter"), Level.CATEGORY))
    assert wishes() == [("", "", "marketing", True), ("", "offers", "", True)]


def token_of_batch(digest: Batch, level: Level = Level.POLICY) -> str:
    return token_of(digest.bucket, digest.pk, level)


def test_it_counts_for_the_tenant_whose_digest_it_was_also_where_that_one_was_wished_for(db: str) -> None:
    set_preference(ANN, tenant="acme", policy="news-letter", muted=False, channels=["sendgrid"])
    set_preference(ANN, tenant="other", policy="news-letter", muted=False)
    unsubscribe(token_of_batch(stored(tenant="acme")))
    muted = [("acme", "news-letter", "", True), ("acme", "offers", "", True)]
    assert wishes() == [*muted, ("other", "news-letter", "", False)]
    wish = Preference.objects.get(tenant="acme", policy="news-letter")
    assert wish.channels == ["sendgrid"], "what else was wished stays"


def test_a_category_is_muted_and_what_was_wished_of_it_more_narrowly_is_taken_back(db: str) -> None:
    set_preference(ANN, policy="hints", muted=False)
    set_preference(ANN, policy="plain", muted=False)
    set_preference("bob@example.com", policy="hints", muted=False)
    unsubscribe(token_of_batch(stored(), Level.CATEGORY))
    told = [("", "offers", "", True), ("", "plain", "", False)]
    assert wishes() == [("", "", "marketing", True), ("", "hints", "", None), *told]
    assert wishes("bob@example.com") == [("", "hints", "", False)]


def test_everything_is_muted_for_every_tenant(db: str) -> None:
    set_preference(ANN, policy="hints", muted=False)
    set_preference(ANN, tenant="acme", muted=False)
    unsubscribe(token_of_batch(stored(tenant="acme"), Level.ALL))
    assert wishes() == [("", "", "", True), ("", "hints", "", None), ("acme", "", "", None)]


def test_a_policy_that_this_code_does_not_know_or_that_has_no_category_is_muted_by_its_name(db: str) -> None:
    digest = stored("plain")
    unsubscribe(token_of_batch(digest, Level.CATEGORY))
    assert wishes() == [("", "plain", "", True)]
    digest = stored("gone")
    unsubscribe(token_of_batch(digest, Level.CATEGORY))
    assert wishes() == [("", "gone", "", True), ("", "plain", "", True)]


def test_after_a_click_nothing_of_a_digest_of_several_policies_is_sent(connect: Connect) -> None:
    wishing = Wishing(connect)
    wishing.hosts = {"offers": "news-letter"}
    wishing.event("offers", recipient=ADA), wishing.event("news-letter", recipient=ADA)
    wishing.event("offers", NOON + 5 * HOUR, recipient=ADA)
    wishing.flush(NOON + 2 * HOUR)
    (claimed,) = wishing.claim()
    assert unsubscribe(token_of_batch(Batch.objects.get(state="SEALED")))
    assert list(wishing.look_again([claimed._replace(is_doubtful=True)]).values()) == ["muted"], "what was on its way"
    wishing.flush(NOON + 9 * HOUR)
    assert wishing.events()[2] == ("FILTERED", "muted"), "and what comes later"
