"""Slack's incoming webhooks: its mark-up, its limits, its answers, and a URL that nobody gets to see."""

import ipaddress
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.django_app.channels import known
from pgsupervise.django_app.channels.endpoints import url_of
from pgsupervise.django_app.channels.guarded_http import LONGEST_WORDS
from pgsupervise.django_app.channels.slack import LONGEST_TEXT, SlackChannel, text_of
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown
from pgsupervise.supervisor.project import Part
from tests.hook_server import HookServer, Say
from tests.sendgrid_sending import delivery

PATH = "/services/T000/B000/very-secret"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.fixture
def server() -> Iterator[HookServer]:
    with HookServer() as running:
        yield running


def channel_to(url: str, allowed: Any = LOOPBACK, timeout: float = 20.0) -> SlackChannel:
    return SlackChannel(url_of=url_of({"bob@example.com": url}), timeout=timeout, allowed=allowed)


def test_a_digest_is_posted_as_text(server: HookServer) -> None:
    assert channel_to(server.url + PATH).send(delivery(subject="A <b> & c", text="1 < 2 & 3 > 2, 漢字")) == Accepted()
    (request,) = server.requests
    assert request.path == PATH
    assert json.loads(request.body) == {"text": "*A &lt;b&gt; &amp; c*\n1 &lt; 2 &amp; 3 &gt; 2, 漢字"}


def test_nobody_can_call_everybody() -> None:
    text = text_of({"subject": "<!channel>", "text": "<!everyone> <@U1> <https://evil|bank>"})
    assert "<" not in text


def test_a_star_in_the_subject_does_not_end_its_bold() -> None:
    assert text_of({"subject": "2 * 3 * 4", "text": ""}).count("*") == 2


@pytest.mark.parametrize("text", ["x" * 100_000, "&" * 20_000, "x&" * 20_000, "&x" * 20_000, "xx&" * 20_000])
def test_a_long_text_is_cut_between_characters(text: str) -> None:
    whole = text_of({"subject": "s", "text": text})
    assert len(whole) <= LONGEST_TEXT
    assert whole.endswith("(shortened)")
    assert "&" not in whole.replace("&amp;", "")


def test_a_text_that_just_fits_is_whole() -> None:
    text = "x" * (LONGEST_TEXT - len("*s*\n"))
    assert text_of({"subject": "s", "text": text}) == f"*s*\n{text}"


@pytest.mark.parametrize(
    ("say", "outcome"),
    [
        (Say(200, b"ok"), Accepted()),
        (Say(400, b"invalid_payload"), Refused("400 invalid_payload")),
        (Say(403, b"action_prohibited"), Refused("403 action_prohibited")),
        (Say(404, b"no_service"), Refused("404 no_service")),
        (Say(410, b"channel_is_archived"), Refused("410 channel_is_archived")),
        (Say(302, b""), Refused("302")),
        (Say(429, b"", {"Retry-After": "30"}), Paused("429", timedelta(seconds=30))),
        (Say(429, b"", {"retry-after": "30"}), Paused("429", timedelta(seconds=30))),
        (Say(429, b"slow down"), Paused("429 slow down", timedelta(seconds=60))),
        (Say(503), NotSent("503")),
        (Say(500, b"rollup_error"), Unknown("500 rollup_error")),
        (Say(202, b""), Unknown("202")),
    ],
)
def test_each_answer_has_its_outcome(server: HookServer, say: Say, outcome: SendOutcome) -> None:
    server.say = say
    assert channel_to(server.url).send(delivery()) == outcome


@pytest.mark.parametrize(
    "say",
    [
        Say(action="hang"),
        Say(action="hang up"),
        Say(404, b"Cannot POST " + PATH.encode()),
        Say(404, b"Cannot POST".ljust(LONGEST_WORDS - len(PATH) + 3, b".") + PATH.encode()),
    ],
)
def test_the_url_is_in_no_outcome_and_no_repr(
    server: HookServer, say: Say, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say = say
    channel = channel_to(server.url + PATH, timeout=0.5)
    with caplog.at_level("DEBUG"):
        outcome = channel.send(delivery())
        inside = channel_to(server.url + PATH, allowed=[]).send(delivery())
        wrong = channel_to(f"nothing{PATH}").send(delivery())
    assert not isinstance(outcome, Accepted)
    assert "very-sec" not in f"{outcome} {inside} {wrong} {channel!r} {caplog.text}"
    assert isinstance(inside, Refused)
    assert isinstance(wrong, Refused)


def test_an_address_without_a_webhook_is_refused(server: HookServer) -> None:
    assert isinstance(channel_to(server.url).send(delivery(to="eve")), Refused)


def failing(address: str) -> str | None:
    raise RuntimeError(PATH)


def test_a_function_of_the_project_may_know_the_urls() -> None:
    found = SlackChannel(url_of=url_of(f"{__name__}.failing")).send(delivery())
    assert isinstance(found, NotSent)
    assert "very-secret" not in str(found)


def test_html_is_not_even_rendered_for_it() -> None:
    assert known()["slack"].takes == {Part.SUBJECT, Part.TEXT}
