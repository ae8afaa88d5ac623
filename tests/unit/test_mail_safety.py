"""No text ends a header and begins another, and no request is too large: by the real channel and Django's classes."""

import json
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsupervise.django_app.channels import sendgrid
from pgsupervise.django_app.channels.mail_safety import header_fault
from pgsupervise.django_app.channels.sendgrid import SendGridChannel
from pgsupervise.supervisor.outcomes import Accepted, Refused
from tests.sendgrid_sending import channel, delivery
from tests.sendgrid_server import SendGridServer

CONTROL = [*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]
EVIL = "Hello{}Bcc: eve@example.com"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(name="server", scope="module")
def running_server() -> Iterator[SendGridServer]:
    with SendGridServer() as server:
        yield server


@pytest.fixture(scope="module")
def mail(server: SendGridServer) -> SendGridChannel:
    return channel(server)


PLACES: list[tuple[str, Any]] = [
    ("subject", lambda evil: {"subject": evil}),
    ("from", lambda evil: {"from": f"{evil} <news@example.com>"}),
    ("from", lambda evil: {"from": f"news@example.com{evil}"}),
    ("to", lambda evil: {"to": f"bob@example.com{evil}"}),
    ("to", lambda evil: {"to": f"{evil} <bob@example.com>"}),
    ("header", lambda evil: {"headers": {"List-Unsubscribe": evil}}),
    ("header", lambda evil: {"headers": {evil: "x"}}),
]


@pytest.mark.parametrize("character", CONTROL, ids=ascii)
def test_no_control_character_gets_into_a_header(server: SendGridServer, mail: SendGridChannel, character: str) -> None:
    before = len(server.requests)
    for what, place in PLACES:
        outcome = mail.send(delivery(place(EVIL.format(character))))
        assert isinstance(outcome, Refused)
        assert what in outcome.reason
        assert outcome.reason.isprintable()
    assert len(server.requests) == before, "nothing went out"


@pytest.mark.parametrize(
    "headers", [{"X: y": "1"}, {"": "1"}, {"X Y": "1"}, {"X-\u00e9": "1"}, {"X": 1}, {"X": None}, ["X"]]
)
def test_what_is_no_header_is_refused(mail: SendGridChannel, headers: Any) -> None:
    assert isinstance(mail.send(delivery(headers=headers)), Refused)


def test_texts_with_every_kind_of_letter_are_no_fault(server: SendGridServer, mail: SendGridChannel) -> None:
    subject = "Zo\u00eb \u2014 \u4f60\u597d \U0001f600 \u200d \u00a0; , <b>"
    assert isinstance(mail.send(delivery(subject=subject)), Accepted)
    assert server.accepted[-1].body["subject"] == subject


@settings(max_examples=50)
@given(subject=st.text(), value=st.text())
def test_what_passes_is_as_many_headers_for_djangos_mail_classes(subject: str, value: str) -> None:
    sender, receiver = "news@example.com", "bob@example.com"
    if header_fault({"subject": subject, "from": sender, "to": receiver, "headers": {"X-Ours": value}}) is not None:
        return
    sent = EmailMultiAlternatives(subject, "text", sender, [receiver], headers={"X-Ours": value})
    arrived = message_from_bytes(sent.message().as_bytes(), policy=SMTP)
    plain = EmailMultiAlternatives("s", "text", sender, [receiver], headers={"X-Ours": "v"}).message()
    assert sorted(arrived.keys()) == sorted(plain.keys())


# Size


@pytest.mark.parametrize("text", ["x", "\u00e4", "\U0001f600", '"', "\n", "\x01"])
def test_the_size_is_that_of_the_request_as_it_is_sent(
    server: SendGridServer, mail: SendGridChannel, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    message = delivery(text=text * 5000, subject="x" * 100)
    assert isinstance(mail.send(message), Accepted)
    size = len(json.dumps(server.accepted[-1].body))
    monkeypatch.setattr(sendgrid, "LARGEST_MESSAGE", size)
    assert isinstance(mail.send(message), Accepted)
    monkeypatch.setattr(sendgrid, "LARGEST_MESSAGE", size - 1)
    before = len(server.requests)
    refused = mail.send(message)
    assert isinstance(refused, Refused)
    assert "larger than SendGrid's" in refused.reason
    assert len(server.requests) == before


@pytest.mark.parametrize(
    "more", [{"subject": "y" * 20_000}, {"headers": {"X-Long": "y" * 20_000}}, {"html": "y" * 20_000}]
)
def test_all_parts_of_a_message_count(mail: SendGridChannel, monkeypatch: pytest.MonkeyPatch, more: Any) -> None:
    monkeypatch.setattr(sendgrid, "LARGEST_MESSAGE", 20_000)
    assert isinstance(mail.send(delivery(more, text="x")), Refused)


def test_the_arguments_that_come_back_with_events_are_far_below_their_limit() -> None:
    largest = 2**63 - 1
    body = sendgrid.message(delivery(attempt=largest)._replace(id=largest), "the-tests")
    (personalization,) = body["personalizations"]
    assert len(json.dumps(personalization["custom_args"])) < 10_000
    assert "asm" not in body, "SendGrid's groups are not used"
