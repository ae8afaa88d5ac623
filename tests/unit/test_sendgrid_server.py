"""The test server refuses what SendGrid would refuse; otherwise no test against it would prove anything."""

import copy
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sendgrid_server import SEND_PATH, Action, Behaviour, SendGridServer

HEADERS = {"Authorization": "Bearer SG.id.secret", "Content-Type": "application/json"}
VALID: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "bob@example.com"}], "custom_args": {"pgs_delivery": "1"}}],
    "from": {"email": "news@example.com", "name": "News"},
    "subject": "3 changes",
    "content": [{"type": "text/plain", "value": "Three."}, {"type": "text/html", "value": "<p>Three.</p>"}],
    "headers": {"X-Thread": "1"},
}


@pytest.fixture(name="server")
def running_server() -> Iterator[SendGridServer]:
    with SendGridServer() as server:
        yield server


def ask(
    url: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, HEADERS if headers is None else headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None, dict(response.headers)
    finally:
        connection.close()


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    body = copy.deepcopy(VALID)
    change(body)
    return body


def test_a_valid_message_is_accepted_with_202_an_id_and_no_body(server: SendGridServer) -> None:
    status, body, headers = ask(server.url, "POST", SEND_PATH, VALID)
    assert (status, body) == (202, None)
    assert [(message.body, message.message_id) for message in server.accepted] == [(VALID, headers["X-Message-Id"])]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        (None, lambda body: body.pop("from")),
        (None, lambda body: body.pop("personalizations")),
        ("personalizations", lambda body: body.update(personalizations={})),
        ("personalizations", lambda body: body.update(personalizations=[])),
        ("personalizations", lambda body: body.update(personalizations=body["personalizations"] * 1001)),
        ("personalizations.0", lambda body: body["personalizations"][0].pop("to")),
        ("personalizations.0.to", lambda body: body["personalizations"][0].update(to=[])),
        ("personalizations.0.to.0", lambda body: body["personalizations"][0].update(to=["bob@example.com"])),
        ("personalizations.0.to.0", lambda body: body["personalizations"][0].update(to=[{"name": "Bob"}])),
        ("personalizations.0.to.0.email", lambda body: body["personalizations"][0].update(to=[{"email": "bob"}])),
        ("personalizations.0.to.email", lambda body: body["personalizations"][0].update(to=[{"email": "B <b@c>"}])),
        ("personalizations.0.to.email", lambda body: body["personalizations"][0].update(to=[{"email": "a@b,c@d"}])),
        (
            "personalizations.0.to.name",
            lambda body: body["personalizations"][0].update(to=[{"email": "a@b", "name": "Smith, A"}]),
        ),
        ("personalizations.0.custom_args", lambda body: body["personalizations"][0].update(custom_args="1")),
        (
            "personalizations.0.custom_args",
            lambda body: body["personalizations"][0].update(custom_args={"long": "x" * 10_000}),
        ),
        ("from", lambda body: body.update({"from": "news@example.com"})),
        ("from", lambda body: body["from"].pop("email")),
        ("from.email", lambda body: body["from"].update(email="news")),
        ("from.email", lambda body: body["from"].update(email="news@example.com, other")),
        ("subject", lambda body: body.pop("subject")),
        ("subject", lambda body: body.update(subject="")),
        ("content", lambda body: body.pop("content")),
        ("content", lambda body: body.update(content=[])),
        ("content", lambda body: body["content"].reverse()),
        ("content", lambda body: body["content"].insert(0, {"type": "text/calendar", "value": "x"})),
        ("content.0.value", lambda body: body["content"][0].update(value="")),
        ("content.0", lambda body: body["content"][0].pop("type")),
        ("headers", lambda body: body.update(headers=[])),
        ("headers", lambda body: body["headers"].update({"Reply-To": "a@example.com"})),
        ("headers.X-Thread", lambda body: body["headers"].update({"X-Thread": 1})),
        ("categories", lambda body: body.update(categories=["same", "same"])),
        ("send_at", lambda body: body.update(send_at="soon")),
        ("attachments.0.disposition", lambda body: body.update(attachments=[{"disposition": "beside"}])),
    ],
)
def test_what_the_description_forbids_is_refused_with_the_field_at_fault(
    server: SendGridServer, field: str | None, change: Callable[[dict[str, Any]], Any]
) -> None:
    status, answer, _ = ask(server.url, "POST", SEND_PATH, changed(change))
    assert status == 400
    assert field in [error["field"] for error in answer["errors"]]
    assert server.accepted == []
    assert len(server.rejected) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {}),
        (401, {"Authorization": "Bearer None"}),
        (401, {"Authorization": "SG.id.secret"}),
        (415, {"Authorization": "Bearer SG.id.secret", "Content-Type": "text/plain"}),
        (415, {"Authorization": "Bearer SG.id.secret"}),
    ],
)
def test_a_request_needs_a_key_and_to_be_json(server: SendGridServer, status: int, headers: dict[str, str]) -> None:
    assert ask(server.url, "POST", SEND_PATH, VALID, headers)[0] == status
    assert server.accepted == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"null", b"[]"])
def test_what_is_no_json_object_is_refused(server: SendGridServer, content: bytes) -> None:
    assert ask(server.url, "POST", SEND_PATH, content)[0] == 400


def test_other_paths_and_methods_are_not_the_endpoint(server: SendGridServer) -> None:
    assert ask(server.url, "POST", "/v2/mail/send", VALID)[0] == 404
    assert ask(server.url, "GET", "/v3/mail/sent")[0] == 404
    assert ask(server.url, "GET", SEND_PATH)[0] == 405


def test_scripted_behaviours_are_for_one_request_each_then_the_default_applies(server: SendGridServer) -> None:
    server.default = Behaviour(status=500)
    server.script(Behaviour(), Behaviour(status=429, headers={"Retry-After": "3"}))
    answers = [ask(server.url, "POST", SEND_PATH, VALID) for _ in range(4)]
    assert [status for status, _, _ in answers] == [202, 429, 500, 500]
    assert answers[1][2]["Retry-After"] == "3"


def test_an_invalid_request_is_refused_whatever_is_scripted(server: SendGridServer) -> None:
    server.script(Behaviour(status=503))
    assert ask(server.url, "POST", SEND_PATH, {})[0] == 400


@pytest.mark.parametrize(
    ("behaviour", "taken"),
    [
        (Behaviour(action=Action.HANG_UP), 1),
        (Behaviour(action=Action.HANG_UP, status=503), 0),
        (Behaviour(action=Action.HANG_UP, status=500, takes=True), 1),
        (Behaviour(action=Action.HANG_UP, takes=False), 0),
        (Behaviour(action=Action.HANG_UP_UNREAD), 0),
    ],
)
def test_a_message_may_be_taken_although_no_answer_says_so(
    server: SendGridServer, behaviour: Behaviour, taken: int
) -> None:
    server.script(behaviour)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        ask(server.url, "POST", SEND_PATH, VALID)
    assert len(server.accepted) == taken


def test_every_one_of_many_senders_is_recorded(server: SendGridServer) -> None:
    def send(number: int) -> int:
        return ask(server.url, "POST", SEND_PATH, VALID | {"subject": str(number)})[0]

    with ThreadPoolExecutor(16) as senders:
        assert set(senders.map(send, range(200))) == {202}
    assert sorted(int(message.body["subject"]) for message in server.accepted) == list(range(200))
    assert len({message.message_id for message in server.accepted}) == 200
    assert [message.at for message in server.accepted] == sorted(message.at for message in server.accepted)


def test_stopping_ends_every_thread_also_those_that_hang() -> None:
    before = set(threading.enumerate())
    with SendGridServer() as server:
        server.script(*(Behaviour(action=action) for action in (Action.HANG_READ, Action.HANG_UNREAD, Action.DRIP)))
        connections = [HTTPConnection(urlsplit(server.url).netloc, timeout=10) for _ in range(5)]
        for connection in connections[:3]:
            connection.request("POST", SEND_PATH, json.dumps(VALID).encode(), HEADERS)
        connections[3].connect()  # and says nothing
        connections[4].connect()
        connections[4].send(b"POST /v3/mail/send HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    for connection in connections:
        connection.close()
    assert set(threading.enumerate()) == before


def test_another_process_is_steered_and_asked_over_http() -> None:
    command = [sys.executable, "-m", "tests.sendgrid_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            script = [{"status": 429, "headers": {"Retry-After": "1"}}, {"action": "answer"}]
            assert ask(url, "POST", "/_script", script)[0] == 204
            assert ask(url, "POST", "/_default", {"status": 503})[0] == 204
            assert [ask(url, "POST", SEND_PATH, VALID)[0] for _ in range(3)] == [429, 202, 503]
            assert ask(url, "POST", SEND_PATH, {})[0] == 400
            accepted = ask(url, "GET", "/_accepted")[1]
            assert [message["body"] for message in accepted] == [VALID]
            assert len(ask(url, "GET", "/_rejected")[1]) == 1
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
