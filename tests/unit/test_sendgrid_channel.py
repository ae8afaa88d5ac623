"""What the SendGrid channel sends, and what it keeps to itself: over real HTTP."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pgsupervise.django_app.channels.sendgrid import SendGridChannel
from pgsupervise.supervisor.outcomes import Accepted, Refused
from tests.sendgrid_sending import KEY, channel, delivery
from tests.sendgrid_server import Behaviour, SendGridServer


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    # urllib would send even requests to 127.0.0.1 through a proxy that the environment names.
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(name="server")
def running_server() -> Iterator[SendGridServer]:
    with SendGridServer() as server:
        yield server


def test_the_request_is_what_sendgrids_description_asks_for(server: SendGridServer) -> None:
    message = delivery(attempt=2, html="<p>Three.</p>", headers={"List-Unsubscribe": "<https://example.com/u/1>"})
    channel(server).send(message)
    assert server.accepted[0].body == {
        "personalizations": [
            {
                "to": [{"email": "bob@example.com"}],
                "custom_args": {
                    "pgs_delivery": "41",
                    "pgs_attempt": "2",
                    "pgs_bucket": "7",
                    "pgs_installation": "the-tests",
                },
            }
        ],
        "from": {"email": "news@example.com", "name": "News"},
        "subject": "3 changes",
        "content": [
            {"type": "text/plain", "value": "Three."},
            {"type": "text/html", "value": "<p>Three.</p>"},
        ],
        "headers": {"List-Unsubscribe": "<https://example.com/u/1>"},
        "tracking_settings": {"subscription_tracking": {"enable": False}},
    }
    assert server.rejected == []


def test_each_delivery_is_a_request_for_one_recipient(server: SendGridServer) -> None:
    sender = channel(server)
    for name in ("ann", "bob"):
        sender.send(delivery(to=f"{name}@example.com"))
    recipients = [[one["to"] for one in message.body["personalizations"]] for message in server.accepted]
    assert recipients == [[[{"email": "ann@example.com"}]], [[{"email": "bob@example.com"}]]]


def test_several_recipients_in_one_delivery_are_refused_not_shown_to_each_other(server: SendGridServer) -> None:
    assert type(channel(server).send(delivery(to="ann@example.com, bob@example.com"))) is Refused
    assert server.accepted == []


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("news@example.com", {"email": "news@example.com"}),
        ("<news@example.com>", {"email": "news@example.com"}),
        ("Smith, Bob <bob@example.com>", {"email": "bob@example.com", "name": "Smith, Bob"}),
        ('"Smith, \\"Bob\\"" <bob@example.com>', {"email": "bob@example.com", "name": 'Smith, "Bob"'}),
        ("Zoë <zoe@example.com>", {"email": "zoe@example.com", "name": "Zoë"}),
        ("A < B <a@example.com>", {"email": "a@example.com", "name": "A < B"}),
    ],
)
def test_an_address_keeps_its_name_whatever_is_in_it(
    server: SendGridServer, sender: str, expected: dict[str, str]
) -> None:
    assert type(channel(server).send(delivery({"from": sender}))) is Accepted
    assert server.accepted[0].body["from"] == expected


def test_a_recipients_name_with_a_comma_loses_the_name_not_the_mail(server: SendGridServer) -> None:
    assert type(channel(server).send(delivery(to="Smith, Bob <bob@example.com>"))) is Accepted
    assert server.accepted[0].body["personalizations"][0]["to"] == [{"email": "bob@example.com"}]


def test_a_text_that_looks_like_a_key_goes_out_unharmed(server: SendGridServer) -> None:
    assert type(channel(server).send(delivery(text="SG.a.b is how keys begin"))) is Accepted
    assert server.accepted[0].body["content"][0]["value"] == "SG.a.b is how keys begin"


def test_a_resend_differs_in_its_attempt_only(server: SendGridServer) -> None:
    sender = channel(server)
    for attempt in (1, 1, 2):
        sender.send(delivery(attempt=attempt))
    first, again, later = (json.dumps(message.body) for message in server.accepted)
    assert again == first
    assert later.replace('"pgs_attempt": "2"', '"pgs_attempt": "1"') == first


def test_a_payload_without_a_part_that_it_needs_is_refused_unsent(server: SendGridServer) -> None:
    message = delivery()
    bare = message._replace(payload={name: value for name, value in message.payload.items() if name != "text"})
    assert channel(server).send(bare) == Refused("the payload has no 'text'")
    assert server.requests == []


def test_a_message_beyond_the_providers_size_is_refused_unsent(server: SendGridServer) -> None:
    assert type(channel(server).send(delivery(text="ä" * 15_000_001))) is Refused
    assert server.requests == []


@pytest.mark.parametrize("status", [202, 401])
def test_the_key_and_the_text_are_in_no_log_even_at_debug(
    server: SendGridServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="python_http_client.client")
    server.default = Behaviour(status=status)
    sender = channel(server)
    sender.send(delivery(text="private words"))
    written = f"{caplog.text} {[vars(record) for record in caplog.records]} {sender!r}"
    assert not re.search("the-secret-part|private words", written)


def test_the_secret_file_s_newline_is_no_part_of_the_key(server: SendGridServer) -> None:
    assert type(SendGridChannel(api_key=f"{KEY}\n", host=server.url).send(delivery())) is Accepted


@pytest.mark.parametrize("key", ["", " \n", f"{KEY}\r\nX-More: 1", f"{KEY} {KEY}", f"{KEY}\u00e9"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", KEY)  # the package would take this for an empty key
    with pytest.raises(ValueError, match="API key") as caught:
        SendGridChannel(api_key=key)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"host": "api.sendgrid.com"}, {"host": "ftp://x"}, {"timeout": 0}])
def test_settings_that_cannot_work_are_refused_at_once(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SendGridChannel(api_key=KEY, **settings)
