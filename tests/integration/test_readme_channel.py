"""The README's channel of one's own, as it stands there."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from pgsupervise.django_app import channels
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.testing import advance, flush_due, freeze
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown
from tests.hook_server import HookServer, Say
from tests.integration.test_notification_rows import NOON
from tests.registries import own_registries
from tests.sendgrid_sending import delivery

README = (Path(__file__).parents[2] / "README.md").read_text()
(BLOCK,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "class Push" in block]


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with own_registries(), HookServer() as running, override_settings(NTFY_URL=running.url):
        exec(compile(BLOCK, "README.md", "exec"), {})  # noqa: S102 - the README's own lines are what is tested
        yield running


def test_it_has_about_twenty_lines() -> None:
    lines = [line for line in BLOCK.splitlines() if line.strip() and not line.startswith(("import ", "from "))]
    assert len(lines) <= 20


@pytest.mark.usefixtures("db")
def test_a_digest_goes_by_it(hooks: HookServer) -> None:
    register(Policy(name="pushed", window=timedelta(hours=1), channel="push", address=lambda who: who.split("@")[0]))
    with freeze(NOON):
        notify("pushed", "ada@example.com", {"text": "Nice!"}, actor="Bob")
        advance(timedelta(hours=1))
        (digest,) = flush_due(through=["push"])
    assert digest.state == "ACCEPTED"
    (request,) = hooks.requests
    body = json.loads(request.body)
    assert (body["topic"], body["title"], body["message"]) == ("ada", digest.subject, digest.text)
    assert "html" not in digest.payload


@pytest.mark.parametrize(
    ("say", "outcome"),
    [(Say(), Accepted), (Say(404), Refused), (Say(429), Paused), (Say(500), Unknown)],
)
def test_its_answers_have_outcomes(hooks: HookServer, say: Say, outcome: type[SendOutcome]) -> None:
    hooks.say = say
    assert type(channels.known()["push"].build().send(delivery())) is outcome


def test_a_server_that_is_not_there_has_taken_nothing(hooks: HookServer) -> None:
    with override_settings(NTFY_URL="http://127.0.0.1:1"):
        assert type(channels.known()["push"].build().send(delivery())) is NotSent
