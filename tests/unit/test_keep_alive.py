"""Connections to SendGrid are used again where that is safe, and only there."""

import time
from collections.abc import Iterator

import pytest

from pgsupervise.django_app.channels import keep_alive
from pgsupervise.django_app.channels.sendgrid import SendGridChannel
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Unknown
from tests.sendgrid_sending import channel, delivery
from tests.sendgrid_server import Action, Behaviour, SendGridServer
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    # Whatever the machine is busy with: how long is too long is for the test of it to say.
    monkeypatch.setattr(keep_alive, "REUSE_SECONDS", 60.0)


@pytest.fixture(name="server")
def running_server() -> Iterator[SendGridServer]:
    with SendGridServer() as server:
        yield server


def send(sender: SendGridChannel, times: int) -> list[type]:
    return [type(sender.send(delivery())) for _ in range(times)]


def test_one_connection_serves_message_after_message(server: SendGridServer) -> None:
    assert send(channel(server), 5) == [Accepted] * 5
    assert (server.connections, len(server.accepted)) == (1, 5)


def test_an_answer_with_a_body_leaves_nothing_behind_for_the_next_one(server: SendGridServer) -> None:
    server.script(Behaviour(status=500), Behaviour(status=429), Behaviour(status=202, body="{}"))
    sender = channel(server)
    assert send(sender, 4)[2:] == [Accepted] * 2
    assert (server.connections, len(server.accepted)) == (1, 2)


def test_a_connection_that_is_said_to_be_closed_is_not_used_again(server: SendGridServer) -> None:
    server.default = Behaviour(headers={"Connection": "close"})
    assert send(channel(server), 3) == [Accepted] * 3
    assert server.connections == 3


def test_a_connection_that_was_closed_untold_is_noticed_before_the_next_message(server: SendGridServer) -> None:
    server.default = Behaviour(action=Action.CLOSE_UNTOLD)
    sender = channel(server)
    for _ in range(3):
        assert send(sender, 1) == [Accepted]
        wait_until(lambda: not server.open_connections, message="the server has closed")
    assert server.connections == 3


def test_a_connection_that_dies_in_its_second_message_is_the_last_that_is_kept(server: SendGridServer) -> None:
    server.script(Behaviour(), Behaviour(action=Action.HANG_UP))
    sender = channel(server)
    assert send(sender, 5) == [Accepted, Unknown, Accepted, Accepted, Accepted]
    assert server.connections == 4  # two messages on the first, then one each


def test_a_connection_that_dies_in_its_first_message_is_no_reason_to_keep_none(server: SendGridServer) -> None:
    server.script(Behaviour(action=Action.HANG_UP))
    assert send(channel(server), 4) == [Unknown, Accepted, Accepted, Accepted]
    assert server.connections == 2


def test_an_idle_connection_is_not_trusted(server: SendGridServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_alive, "REUSE_SECONDS", 0.05)
    sender = channel(server)
    for _ in range(2):
        assert send(sender, 1) == [Accepted]
        time.sleep(0.06)
    assert server.connections == 2


def test_a_connection_does_not_last_for_ever(server: SendGridServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_alive, "LONGEST_SECONDS", 0.0)
    assert send(channel(server), 2) == [Accepted] * 2
    assert server.connections == 2


def test_a_kept_connection_does_not_hide_that_its_server_is_gone() -> None:
    with SendGridServer() as server:
        sender = channel(server)
        assert send(sender, 1) == [Accepted]
    assert send(sender, 1) == [NotSent]
