"""Traps of HTTP by the `sendgrid` package that no status shows: proxies, handshakes, what messages leave behind."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message as Head
from typing import Any

import pytest

from pgsupervise.django_app.channels.bounded_reply import LARGEST_REPLY
from pgsupervise.django_app.channels.sendgrid import SendGridChannel
from pgsupervise.supervisor.outcomes import Accepted, NotSent
from tests.sendgrid_description import Problem
from tests.sendgrid_sending import KEY, channel, delivery
from tests.sendgrid_server import Action, Behaviour, SendGridServer

EUROPE = "https://api.eu.sendgrid.com"


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection with these bytes, or with nothing at all; yield the address and what was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(20)
            asked.append(connection.recv(65536))
            connection.sendall(answer)
            while connection.recv(65536):
                continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", asked
        finally:
            thread.join()


def test_a_proxy_of_the_environment_is_used_and_never_sees_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    with answering(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as (address, asked):
        monkeypatch.setenv("https_proxy", f"http://{address}")
        found = SendGridChannel(api_key=KEY, host=EUROPE, timeout=5.0).send(delivery())
    assert type(found) is NotSent
    assert "502" in found.reason
    (request,) = asked
    assert request.startswith(b"CONNECT api.eu.sendgrid.com:443 HTTP/1."), "the host that was set, also in Europe"
    assert KEY.encode() not in request


@pytest.mark.parametrize("through", ["no proxy", "a proxy"])
def test_a_handshake_that_stalls_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, through: str) -> None:
    hello = b"HTTP/1.1 200 Connection established\r\n\r\n" if through == "a proxy" else b""
    with answering(hello) as (address, _):
        if through == "a proxy":
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.setenv("https_proxy", f"http://{address}")
        else:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
        host = EUROPE if through == "a proxy" else f"https://{address}"
        found = SendGridChannel(api_key=KEY, host=host, timeout=0.3).send(delivery())
    assert type(found) is NotSent
    assert "timed out" in found.reason


class _Heads(SendGridServer):
    """Keeps the head of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[dict[str, str]] = []

    def examine(self, headers: Head, content: bytes) -> tuple[int, dict[str, Any], list[Problem]]:
        self.heads.append({name: value for name, value in headers.items() if name != "Content-Length"})
        return super().examine(headers, content)


def test_nothing_of_a_message_is_left_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with _Heads() as server:
        sender = channel(server)
        bare = delivery()
        for message in (bare, delivery(html="<p>Three.</p>", headers={"X-Thread": "1"}), bare):
            assert type(sender.send(message)) is Accepted
        first, with_more, again = server.heads
    assert first == with_more == again
    assert server.accepted[0].body == server.accepted[2].body


def test_no_more_of_an_answer_is_read_than_there_is_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with SendGridServer() as server:
        server.script(Behaviour(action=Action.FLOOD), Behaviour(action=Action.FLOOD, status=400))
        sender = channel(server, timeout=20.0)
        assert type(sender.send(delivery())) is Accepted
        assert sender.send(delivery()).reason == "400 " + "x" * 996  # type: ignore[union-attr]  # a refusal
        assert type(sender.send(delivery())) is Accepted, "by a connection of its own"
        # What is beyond is in the buffers of two sockets.
        assert server.flooded < 2 * LARGEST_REPLY + 40_000_000
