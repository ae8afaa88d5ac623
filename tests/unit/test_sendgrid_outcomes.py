"""Every answer of SendGrid, and every way of having none, has one outcome: over real HTTP."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from pgsupervise.django_app.channels.sendgrid import SendGridChannel
from pgsupervise.supervisor.outcomes import Accepted, Forbidden, NotSent, Paused, Refused, Unknown
from tests.sendgrid_sending import KEY, channel, delivery, outcome
from tests.sendgrid_server import Action, Behaviour, SendGridServer

MINUTE = timedelta(seconds=60)
HTML_PAGE = "<html><body><h1>Bad gateway</h1>\x00</body></html>"
LARGE = "x" * 20_000_000
"""More than a loopback socket's buffers hold, so that a server which does not read stops the writing."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    # urllib would send even requests to 127.0.0.1 through a proxy that the environment names.
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(name="server")
def running_server() -> Iterator[SendGridServer]:
    with SendGridServer() as server:
        yield server


def test_202_is_accepted_under_the_providers_id(server: SendGridServer) -> None:
    assert channel(server).send(delivery()) == Accepted(server.accepted[0].message_id)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Unknown),
        (204, Unknown),
        (400, Refused),
        (401, Paused),
        (402, Refused),
        (403, Forbidden),
        (404, Refused),
        (405, Refused),
        (406, Refused),
        (407, Paused),
        (408, NotSent),
        (413, Refused),
        (415, Refused),
        (422, Refused),
        (429, Paused),
        (451, Refused),
        (500, Unknown),
        (502, Unknown),
        (503, NotSent),
        (504, Unknown),
        (599, Unknown),
    ],
)
def test_each_status_has_its_outcome(server: SendGridServer, status: int, kind: type[Any]) -> None:
    found = outcome(server, Behaviour(status=status))
    assert type(found) is kind
    assert found.reason.startswith(str(status))  # type: ignore[union-attr]  # none of them is Accepted
    assert server.accepted == []


@pytest.mark.parametrize("status", [400, 401, 403, 408, 413, 429, 451, 500, 502, 503, 504])
def test_an_html_error_page_has_the_outcome_of_its_status(server: SendGridServer, status: int) -> None:
    plain = outcome(server, Behaviour(status=status))
    page = outcome(server, Behaviour(status=status, body=HTML_PAGE, headers={"Content-Type": "text/html"}))
    assert type(page) is type(plain)
    assert page.reason == f"{status} <html><body><h1>Bad gateway</h1> </body></html>"  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_not_success(server: SendGridServer, status: int) -> None:
    found = outcome(server, Behaviour(status=status, headers={"Location": f"{server.url}/page"}))
    assert found == Paused(f"{status} redirect to {server.url}/page", MINUTE)
    # Whoever follows shows the key to the host that the redirect names, and reads a page as an answer to the message.
    assert server.requests == ["POST /v3/mail/send"]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, MINUTE),
        ({"Retry-After": "7"}, timedelta(seconds=7)),
        ({"Retry-After": "0"}, timedelta(seconds=1)),
        ({"Retry-After": "86400"}, timedelta(minutes=15)),
        ({"Retry-After": format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)}, timedelta(seconds=1)),
        ({"Retry-After": format_datetime(datetime(2999, 1, 1, tzinfo=UTC), usegmt=True)}, timedelta(minutes=15)),
        ({"Retry-After": "soon"}, MINUTE),
        ({"X-RateLimit-Reset": "30"}, timedelta(seconds=1)),
        ({"X-RateLimit-Reset": "99999999999999999999999"}, timedelta(minutes=15)),
        ({"X-RateLimit-Reset": "nan"}, MINUTE),
        ({"X-RateLimit-Reset": "9" * 5000}, MINUTE),
    ],
)
def test_429_pauses_for_as_long_as_it_says_within_reason(
    server: SendGridServer, headers: dict[str, str], wait: timedelta
) -> None:
    assert outcome(server, Behaviour(status=429, headers=headers)) == Paused("429 scripted 429", wait)


def test_429_pauses_until_the_second_when_the_limit_is_reset(
    server: SendGridServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgsupervise.django_app.channels.sendgrid_outcomes.time.time", lambda: 1_800_000_000.5)
    found = outcome(server, Behaviour(status=429, headers={"X-RateLimit-Reset": "1800000042"}))
    assert found == Paused("429 scripted 429", timedelta(seconds=42))


def test_503_is_tried_again_when_it_says_or_else_by_our_own_backoff(server: SendGridServer) -> None:
    assert outcome(server, Behaviour(status=503)) == NotSent("503 scripted 503", None)
    found = outcome(server, Behaviour(status=503, headers={"Retry-After": "20"}))
    assert found == NotSent("503 scripted 503", timedelta(seconds=20))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"errors": [{"message": "No.", "field": None, "help": None}]}, "400 No."),
        ({"errors": [{"message": "Bad.", "field": "subject"}, {"message": "No."}]}, "400 Bad. (field subject); No."),
        ({"errors": ["odd", {"field": "from"}]}, "400 odd; None (field from)"),
        ({"errors": None}, '400 {"errors": null}'),
        ({"error": "other"}, '400 {"error": "other"}'),
        ([], "400 []"),
        ("", '400 ""'),
    ],
)
def test_a_refusal_says_the_providers_words(server: SendGridServer, body: Any, reason: str) -> None:
    assert outcome(server, Behaviour(status=400, body=json.dumps(body))) == Refused(reason)


def test_a_reason_is_short_and_can_be_stored(server: SendGridServer) -> None:
    words = json.dumps({"errors": [{"message": "a\x00b\ud800c\n" + "d" * 5000}]})
    assert outcome(server, Behaviour(status=400, body=words)) == Refused("400 a b c " + "d" * 990)
    assert outcome(server, Behaviour(status=400, body="[" * 200_000)) == Refused("400 " + "[" * 996)
    assert outcome(server, Behaviour(status=400, body="")) == Refused("400")
    found = outcome(server, Behaviour(headers={"X-Message-Id": "i" * 500}))
    assert found == Accepted("i" * 200)


@pytest.mark.parametrize("action", [Action.HANG_READ, Action.HANG_UNREAD, Action.DRIP])
def test_no_complete_answer_in_time_is_unknown(server: SendGridServer, action: Action) -> None:
    # Of what drips, each byte is in time: the reply as a whole is what is late.
    assert type(outcome(server, Behaviour(action=action), timeout=0.3)) is Unknown


def test_an_answer_that_trickles_in_time_counts(server: SendGridServer) -> None:
    assert type(outcome(server, Behaviour(action=Action.DRIP), timeout=30.0)) is Accepted


@pytest.mark.parametrize("status", [202, 429, 500])
def test_half_an_answer_is_unknown_whatever_its_status(server: SendGridServer, status: int) -> None:
    assert type(outcome(server, Behaviour(action=Action.HALF_REPLY, status=status))) is Unknown


def test_hanging_up_without_a_word_is_unknown_for_the_message_may_have_been_taken(server: SendGridServer) -> None:
    assert type(outcome(server, Behaviour(action=Action.HANG_UP))) is Unknown
    assert len(server.accepted) == 1


def test_a_connection_lost_while_the_request_is_written_did_not_send_it(server: SendGridServer) -> None:
    found = outcome(server, Behaviour(action=Action.HANG_UP_UNREAD), text=LARGE)
    assert type(found) is NotSent
    assert "reset" in found.reason or "Broken pipe" in found.reason


def test_a_timeout_while_the_request_is_written_did_not_send_it(server: SendGridServer) -> None:
    found = outcome(server, Behaviour(action=Action.HANG_UNREAD), timeout=0.3, text=LARGE)
    assert found == NotSent("URLError: <urlopen error timed out>")


def test_a_refused_connection_did_not_send_it() -> None:
    with SendGridServer() as gone:
        pass
    found = channel(gone).send(delivery())
    assert type(found) is NotSent
    assert "Connection refused" in found.reason


@pytest.mark.parametrize("host", ["http://sendgrid.invalid", "http://127.0.0.1:port", "http://send grid"])
def test_a_host_that_cannot_be_reached_did_not_get_it(host: str) -> None:
    assert type(SendGridChannel(api_key=KEY, host=host).send(delivery())) is NotSent


def test_a_timeout_of_the_connection_itself_did_not_send_it() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address):  # takes the only place in the queue
            host = f"http://127.0.0.1:{address[1]}"
            found = SendGridChannel(api_key=KEY, host=host, timeout=0.3).send(delivery())
    assert found == NotSent("URLError: <urlopen error timed out>")
