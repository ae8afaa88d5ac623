"""Webhooks: signed by Standard Webhooks' rules, and each answer has its outcome."""

import ipaddress
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pgsupervise.django_app.channels import known
from pgsupervise.django_app.channels.endpoints import Endpoint, endpoint_of
from pgsupervise.django_app.channels.webhook import WebhookChannel
from pgsupervise.django_app.channels.webhook_signature import signed
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Refused, SendOutcome, Unknown
from tests.hook_server import HookServer, Say
from tests.sendgrid_sending import delivery

OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.fixture
def server() -> Iterator[HookServer]:
    with HookServer() as running:
        yield running


def channel_to(url: str, *secrets: str, allowed: Any = LOOPBACK, timeout: float = 20.0) -> WebhookChannel:
    endpoints = {"bob@example.com": {"url": url, "secrets": secrets or (NEW,)}}
    return WebhookChannel(endpoint_of=endpoint_of(endpoints), timeout=timeout, allowed=allowed)


def digest(**payload: Any) -> ClaimedDelivery:
    return delivery({"html": "<p>Grüße</p>", **payload})._replace(created_at=datetime(2026, 3, 1, 12, tzinfo=UTC))


def test_a_digest_arrives_signed(server: HookServer) -> None:
    assert channel_to(f"{server.url}/hook?a=b c").send(digest(text="Grüße 漢字")) == Accepted()
    (request,) = server.requests
    assert Webhook(NEW).verify(request.body, request.headers)
    assert request.path == "/hook?a=b%20c"
    assert json.loads(request.body) == {
        "type": "digest",
        "timestamp": "2026-03-01T12:00:00+00:00",
        "data": {
            "policy": "changes",
            "recipient": "bob",
            "subject": "3 changes",
            "text": "Grüße 漢字",
            "html": "<p>Grüße</p>",
            "events": [1, 2, 3],
        },
    }


def test_while_secrets_are_rotated_each_of_them_verifies(server: HookServer) -> None:
    channel_to(server.url, NEW, OLD).send(digest())
    (request,) = server.requests
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "Zm9v" * 8).verify(request.body, request.headers)


def test_the_specifications_own_example_is_signed_alike() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_sent_again_has_the_same_id_and_body(server: HookServer) -> None:
    channel = channel_to(server.url)
    channel.send(digest())
    channel.send(digest()._replace(attempt=2))
    first, second = server.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    channel.send(digest()._replace(id=42))
    assert server.requests[2].headers["webhook-id"] != first.headers["webhook-id"]
    assert known()["webhook"].resend_is_safe


@pytest.mark.parametrize(
    ("say", "outcome"),
    [
        (Say(200), Accepted()),
        (Say(204), Accepted()),
        (Say(410, b"gone"), Refused("410 gone")),
        (Say(400, b"bad\r\nwords\0"), Refused("400 bad words")),
        (Say(401), Refused("401")),
        (Say(404), Refused("404")),
        (Say(408), NotSent("408")),
        (Say(429, b"", {"Retry-After": "77"}), NotSent("429", timedelta(seconds=77))),
        (Say(500), NotSent("500")),
        (Say(503, b"", {"Retry-After": "5"}), NotSent("503", timedelta(seconds=5))),
    ],
)
def test_each_answer_has_its_outcome(server: HookServer, say: Say, outcome: SendOutcome) -> None:
    server.say = say
    found = channel_to(server.url).send(digest())
    assert type(found) is type(outcome)
    if not isinstance(found, Accepted):
        assert found.reason.strip() == outcome.reason  # type: ignore[union-attr]  # the same type
    if isinstance(found, NotSent) and isinstance(outcome, NotSent):
        assert found.retry_after == outcome.retry_after


def test_a_redirect_is_not_followed(server: HookServer) -> None:
    server.say = Say(302, b"", {"Location": f"{server.url}/elsewhere"})
    assert isinstance(channel_to(server.url).send(digest()), NotSent)
    assert [request.path for request in server.requests] == ["/"]


@pytest.mark.parametrize("say", [Say(action="hang"), Say(action="hang up"), Say(200, action="drip")])
def test_without_a_complete_answer_nobody_knows(server: HookServer, say: Say) -> None:
    server.say = say
    assert isinstance(channel_to(server.url, timeout=0.5).send(digest()), Unknown)


def test_of_an_endless_answer_only_the_beginning_is_read(server: HookServer) -> None:
    server.say = Say(500, b"x" * 10_000_000)
    found = channel_to(server.url).send(digest())
    assert isinstance(found, NotSent)
    assert len(found.reason) < 1000


def test_a_server_that_is_not_there_has_taken_nothing() -> None:
    with HookServer() as gone:
        url = gone.url
    assert isinstance(channel_to(url).send(digest()), NotSent)


def test_an_address_without_an_endpoint_is_refused(server: HookServer) -> None:
    assert isinstance(channel_to(server.url).send(digest(to="eve@example.com")), Refused)


def broken(address: str) -> Endpoint | None:
    raise RuntimeError(f"https://secret.example.com/{NEW}")


def test_a_function_of_the_project_may_know_the_endpoints(server: HookServer) -> None:
    channel = WebhookChannel(endpoint_of=lambda to: Endpoint(server.url, [NEW]), allowed=LOOPBACK)
    assert channel.send(digest(to="anybody")) == Accepted()
    assert endpoint_of(f"{__name__}.broken") is broken
    failed = WebhookChannel(endpoint_of=broken).send(digest())
    assert isinstance(failed, NotSent)
    assert NEW not in str(failed)


def test_secrets_are_in_no_repr_and_no_error(server: HookServer) -> None:
    endpoint = Endpoint("https://example.com/secret-path", [NEW])
    assert "secret-path" not in repr(endpoint)
    assert NEW not in repr(endpoint)
    found = channel_to(server.url, "whsec_not base64 at all").send(digest())
    assert isinstance(found, Refused)
    assert "not base64 at" not in str(found)


def test_without_leave_it_does_not_reach_this_machine(server: HookServer) -> None:
    found = channel_to(server.url, allowed=[]).send(digest())
    assert isinstance(found, Refused)
    assert "not public" in found.reason
    assert server.requests == []
