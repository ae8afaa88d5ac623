"""Digests of one conversation refer to the same message, by headers that nothing in them can break."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_string
from email.message import Message
from email.policy import SMTP
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.django_app.channels.sendgrid import message
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.rendering import render
from pgsupervise.django_app.rendering.threads import thread_headers
from pgsupervise.partitions.rows import DueBatch
from tests.integration.test_rendering import NOON, batch, item, payload
from tests.registries import own_registries
from tests.sendgrid_description import problems
from tests.sendgrid_sending import delivery

HOUR = timedelta(hours=1)
SENDER = "Example <hello@example.com>"
ROOT = re.compile(r"<[A-Za-z0-9-]+(\.[0-9a-f]{20}){2}@[a-z0-9-]+(\.[a-z0-9-]+)*>")


@pytest.fixture(autouse=True)
def policies() -> Iterator[None]:
    with own_registries(), override_settings(PGSUPERVISE={"FROM_EMAIL": SENDER}):
        register(Policy(name="digest", window=HOUR, channel="sendgrid", threaded=True))
        register(Policy(name="loose", window=HOUR, channel="sendgrid"))
        yield


def due(policy: str = "digest", recipient: str = "ann@example.com", tenant: str = "", key: str = "") -> DueBatch:
    return replace(batch(item(1), policy=policy, recipient=recipient, key=key), tenant=tenant)


def sendgrid_says(rendered: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the request's body and what SendGrid's own description finds wrong with it."""
    headers = Message()
    headers["Authorization"], headers["Content-Type"] = "Bearer SG.x", "application/json"
    _, body, found = problems(headers, json.dumps(message(delivery(rendered), "here")).encode())
    return body, found


def test_sendgrid_takes_the_headers_and_they_reach_its_request() -> None:
    rendered = payload(due())
    body, found = sendgrid_says(rendered)
    assert found == []
    assert body["headers"] == rendered["headers"]
    assert set(body["headers"]) == {"References", "In-Reply-To"}
    assert body["headers"]["References"] == body["headers"]["In-Reply-To"]
    assert ROOT.fullmatch(body["headers"]["References"])
    assert body["headers"]["References"].startswith("<digest.")
    assert body["headers"]["References"].endswith("@example.com>")


def test_a_policy_without_threads_has_no_headers() -> None:
    rendered = payload(due("loose"))
    assert "headers" not in rendered
    assert sendgrid_says(rendered)[1] == []


@pytest.mark.parametrize(("key", "subject"), [("Trip", "Trip"), ("", "Updates"), ("42", "Updates")])
def test_the_ready_made_subject_is_the_same_for_each_digest_of_a_thread(key: str, subject: str) -> None:
    """Gmail shows messages of other subjects apart, whatever their headers say."""
    items = [item(1), item(2, "Eve"), item(3, "")]
    for some in (items, items[:1], items[1:], items[2:]):
        assert payload(batch(*some, policy="digest", key=key))["subject"] == subject
    assert payload(batch(*items, policy="loose", key=key))["subject"] == "Bob and Eve: Trip"


def test_a_channel_that_takes_nothing_has_no_headers() -> None:
    (bare,) = render(due(), ["null"])
    assert "headers" not in bare.payload


def test_each_digest_of_a_key_has_the_same_and_each_other_key_another() -> None:
    root = thread_headers(due(), SENDER)["References"]
    later = replace(batch(item(8), item(9), policy="digest"), id=7, deliver_at=NOON + HOUR)
    assert thread_headers(later, SENDER)["References"] == root
    assert root == "<digest.c8eadf2622ccb985e596.b1741b801f6d092670e7@example.com>", (
        "stored in the mailboxes of recipients: never to change"
    )
    others = [
        due("digest!"),
        due(recipient="bob@example.com"),
        due(tenant="acme"),
        due(key="acme"),
        due(tenant="a", key="cme"),
        due(key="a,b"),
        due(tenant="a", key="b"),
    ]
    roots = [thread_headers(each, SENDER)["References"] for each in others]
    assert len({root, *roots}) == len(others) + 1


texts = st.text(max_size=60) | st.sampled_from(
    ["\r\nBcc: eve@example.com", "a\x00b", "\ud800", '<>@,;:\\"[]', "ü\u2028"]
)


@given(policy=texts.filter(bool), recipient=texts, tenant=texts, key=texts, sender=texts | st.emails())
def test_nothing_that_a_key_holds_gets_into_a_header(
    policy: str, recipient: str, tenant: str, key: str, sender: str
) -> None:
    headers = thread_headers(due(policy, recipient, tenant, key), sender)
    assert all(ROOT.fullmatch(value) for value in headers.values())
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    assert all(len(line) < 998 for line in lines.split("\r\n"))
    read = message_from_string(f"{lines}\r\n", policy=SMTP)
    assert read.keys() == ["References", "In-Reply-To"]
    assert not read.defects


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("hello@example.com", "example.com"),
        ("Smith, Bob <bob@Mail.Example.com >", "mail.example.com"),
        ("Zoë <zoe@münchen.de>", "xn--mnchen-3ya.de"),
        ("webmaster@localhost", "localhost"),
        ("nobody", "localhost"),
        ("a@b..c", "b.c"),
        ("a@", "localhost"),
        ("a@[127.0.0.1]", "127.0.0.1"),
    ],
)
def test_the_domain_is_the_sender_s(sender: str, domain: str) -> None:
    assert thread_headers(due(), sender)["References"].endswith(f"@{domain}>")


def test_a_resend_of_a_stored_payload_has_the_same_headers() -> None:
    first = payload(batch(item(1), policy="digest", key="doc"))
    stored = json.loads(json.dumps(first))
    assert message(delivery(stored, attempt=2), "here")["headers"] == first["headers"]
