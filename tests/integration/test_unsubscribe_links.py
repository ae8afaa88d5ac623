"""What a mail has to unsubscribe by (RFC 8058): headers, links in its texts, tokens, and the settings they need."""

import re
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.policy import SMTP
from typing import Any
from urllib.parse import unquote

import pytest
from django.conf import settings as django_settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.http import HttpResponse
from django.test import override_settings
from django.urls import NoReverseMatch, path

from pgsupervise.django_app import checks, composition, policies, settings
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.preferences_links import preferences_url
from pgsupervise.django_app.rendering import render
from pgsupervise.django_app.unsubscribe_checks import lost_links
from pgsupervise.django_app.unsubscribe_links import SALT, Level, target_of, token_of
from tests.integration.test_rendering import batch, item, payload
from tests.registries import own_registries

HOUR = timedelta(hours=1)
GIVEN = {"BASE_URL": "https://shop.example/", "FROM_EMAIL": "Shop <hello@shop.example>"}
urlpatterns: list[Any] = [path("only/", lambda request: HttpResponse())]
"""A project that does not include ours."""


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


def test_a_mail_has_both_headers_with_an_https_link_and_the_links_in_its_texts() -> None:
    mail = payload(batch(item(1), policy="news-letter"))
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = mail["headers"]["List-Unsubscribe"]
    assert re.fullmatch(r"<https://shop\.example/notifications/unsubscribe/[A-Za-z0-9_:-]+/>", link)
    assert link[1:-1] in mail["text"]
    assert f'href="{link[1:-1]}"' in mail["html"]
    for part in ("text", "html"):
        assert "https://shop.example/notifications/" in mail[part]
        assert "Manage preferences" in mail[part]


def test_several_items_have_the_same_links_as_one() -> None:
    mail = payload(batch(item(1), item(2), policy="news-letter"))
    assert mail["headers"]["List-Unsubscribe"][1:-1] in mail["text"]
    assert mail["headers"]["List-Unsubscribe"][1:-1] in mail["html"]


def test_what_was_rendered_twice_has_the_same_token() -> None:
    first, again = (payload(batch(item(1), policy="news-letter"))["headers"] for _ in range(2))
    assert first == again


def test_only_mail_has_the_headers_and_what_is_required_has_none() -> None:
    inbox, mail = (delivery.payload for delivery in render(batch(item(1), policy="plain")))
    assert "headers" not in inbox
    assert "https://" not in inbox["text"] + inbox["html"], "whoever sees a link has the recipient's page"
    assert "List-Unsubscribe" in mail["headers"]
    assert "https://" in mail["text"]
    required = payload(batch(item(1), policy="security"))
    assert "headers" not in required
    assert "Unsubscribe" not in required["text"] + required["html"]
    assert "Manage preferences" in required["text"]
    register(Policy(name="reserved", window=HOUR, channel="slack", fallback=["email"]))
    slack, reserve = (delivery.payload for delivery in render(batch(item(1), policy="reserved")))
    assert "https://" not in slack["text"]
    assert "https://" in reserve["text"]
    register(Policy(name="inbox-only", window=HOUR))
    assert "https://" not in payload(batch(item(1), policy="inbox-only"))["text"]


@override_settings(PGSUPERVISE={**GIVEN, "UNSUBSCRIBE_MAILTO": "stop@shop.example"})
def test_an_address_to_unsubscribe_by_mail_comes_second_and_its_subject_has_the_token() -> None:
    link, mail = payload(batch(item(1), policy="news-letter"))["headers"]["List-Unsubscribe"].split(", ")
    assert mail.startswith("<mailto:stop@shop.example?subject=unsubscribe%20")
    token = unquote(mail.removesuffix(">").partition("%20")[2])
    assert link == f"<https://shop.example/notifications/unsubscribe/{token}/>"


@pytest.mark.parametrize("threaded", [False, True])
@override_settings(PGSUPERVISE={**GIVEN, "UNSUBSCRIBE_MAILTO": "stop@shop.example"})
def test_the_headers_arrive_as_they_are_through_djangos_mail_classes(threaded: bool) -> None:
    register(Policy(name="long", window=HOUR, channel="sendgrid", threaded=threaded))
    frozen = payload(batch(item(1), policy="long", recipient=f"{'x' * 60}@example.com"))
    mail = EmailMultiAlternatives(frozen["subject"], frozen["text"], frozen["from"], [frozen["to"]])
    mail.extra_headers = dict(frozen["headers"])
    arrived = message_from_bytes(mail.message().as_bytes(), policy=SMTP)
    for name, value in frozen["headers"].items():
        (got,) = arrived.get_all(name, [])
        assert " ".join(got.split()) == value, "a long line is folded, and nothing else happens to it"


@pytest.mark.parametrize("given", [{}, {"ROOT_URLCONF": __name__, "PGSUPERVISE": GIVEN}])
def test_without_a_base_or_our_urls_mail_goes_out_without_links_and_the_start_warns(
    given: dict[str, Any], caplog: pytest.LogCaptureFixture, db: str
) -> None:
    with override_settings(**{"PGSUPERVISE": {"FROM_EMAIL": "hello@shop.example"}, **given}):
        assert "headers" not in payload(batch(item(1), policy="news-letter"))
        assert "Unsubscribe" not in payload(batch(item(1), policy="news-letter"))["text"]
        lost = lost_links(policies.registry.values())
        assert "mail of news-letter, hints, plain has no link to unsubscribe" in lost
        assert ("preference_urls" if given else "BASE_URL") in lost
        (warning,) = checks.check_mail_can_be_unsubscribed_from(None)
        assert (warning.id, warning.msg) == ("pgsupervise.W001", lost)
        assert lost not in composition.problems(), "it may start all the same"
    assert lost in caplog.text
    assert lost_links(policies.registry.values()) == ""
    assert lost_links([policies.registry["security"]]) == "", "nothing to unsubscribe from"
    assert checks.check_mail_can_be_unsubscribed_from(None) == []


def test_a_project_that_has_no_urls_at_all_sends_mail_without_links() -> None:
    with override_settings(PGSUPERVISE=GIVEN):
        del django_settings.ROOT_URLCONF
        assert "headers" not in payload(batch(item(1), policy="news-letter"))
        assert "preference_urls" in lost_links(policies.registry.values())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BASE_URL", "http://shop.example", "by https"),
        ("BASE_URL", "shop.example", "by https"),
        ("BASE_URL", "https://", "by https"),
        ("BASE_URL", "https://[", "by https"),
        ("BASE_URL", "https://shop.example/?x=1", "by https"),
        ("BASE_URL", "https://shop.example\r\nBcc: eve@example.com", "by https"),
        ("BASE_URL", "https://shop.example/>, <https://evil.example", "by https"),
        ("BASE_URL", "https://b\u00fccher.example", "by https"),
        ("BASE_URL", 7, "by https"),
        ("UNSUBSCRIBE_MAILTO", "Shop <stop@shop.example>", "a bare address"),
        ("UNSUBSCRIBE_MAILTO", "stop@shop.example\r\nBcc: x", "is no address"),
        ("UNSUBSCRIBE_MAILTO", 7, "is no address"),
        ("FROM_EMAIL", "Shop <hello@>", "no e-mail address"),
        ("FROM_EMAIL", "h\u00e4llo@shop.example", "not ASCII"),
    ],
)
def test_settings_that_would_break_a_header_are_refused_at_start(name: str, value: Any, told: str) -> None:
    with override_settings(PGSUPERVISE={name: value}):
        (problem,) = settings.problems()
    assert problem.startswith(f"PGSUPERVISE['{name}'] ")
    assert told in problem


def test_settings_that_are_left_empty_are_none() -> None:
    with override_settings(PGSUPERVISE={"BASE_URL": "", "UNSUBSCRIBE_MAILTO": ""}):
        assert settings.problems() == []


# The token


def test_a_token_is_signed_opaque_and_says_nothing_of_the_recipient() -> None:
    token = token_of(7, 123456)
    assert target_of(token) == (7, 123456, Level.POLICY)
    body = token.partition(":")[0]
    assert signing.JSONSerializer().loads(signing.b64_decode(body.encode())) == [7, 123456, "policy"]
    for forged in (
        f"x{token}",
        token[:-1],
        signing.dumps([7, 1, "policy"]),
        "",
        "::",
        signed(["x"]),
        signed([1, 2, "no"]),
    ):
        with pytest.raises(signing.BadSignature):
            target_of(forged)


def signed(value: Any) -> str:
    return signing.Signer(salt=SALT).sign_object(value)


def test_a_token_outlives_a_new_secret_key_as_long_as_the_old_one_is_a_fallback() -> None:
    with override_settings(SECRET_KEY="old"):
        token = token_of(7, 1)
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert target_of(token).batch_id == 1
    with override_settings(SECRET_KEY="new"), pytest.raises(signing.BadSignature):
        target_of(token)


@override_settings(ROOT_URLCONF="tests.integration.test_unsubscribe_links")
def test_pages_that_are_not_in_the_urls_are_asked_for_with_the_cure() -> None:
    with pytest.raises(NoReverseMatch, match=r'; add path\("notifications/", include\("pgsupervise'):
        preferences_url("ann@example.com")
