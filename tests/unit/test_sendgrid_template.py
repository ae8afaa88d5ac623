"""Many digests in one request to SendGrid, each held against SendGrid's own description of the endpoint."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pgsupervise.django_app.channels import known
from pgsupervise.django_app.channels import sendgrid_template as module
from pgsupervise.django_app.channels.sendgrid_marks import custom_args
from pgsupervise.django_app.channels.sendgrid_template import SendGridTemplateChannel
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, Unknown
from pgsupervise.supervisor.senders import Job
from tests.sendgrid_sending import KEY, delivery
from tests.sendgrid_server import Action, Behaviour, SendGridServer
from tests.unit.test_senders import pool

TEMPLATES = {"changes": "d-changes", "*": "d-any"}


@pytest.fixture
def server() -> Iterator[SendGridServer]:
    with SendGridServer() as running:
        yield running


def channel_to(server: SendGridServer, timeout: float = 20.0) -> SendGridTemplateChannel:
    return SendGridTemplateChannel(
        templates=TEMPLATES, api_key=KEY, host=server.url, timeout=timeout, installation="the-tests"
    )


def digest(number: int, *, policy: str = "changes", **payload: Any) -> ClaimedDelivery:
    whose = {"to": f"r{number}@example.com", "subject": f"Subject {number}", "text": f"Text {number}"}
    return delivery(whose | payload)._replace(
        id=number, recipient=f"r{number}", policy=policy, channel="mail", attempt=number
    )


def bodies(server: SendGridServer) -> list[dict[str, Any]]:
    assert server.rejected == [], "SendGrid's own description finds nothing"
    return [message.body for message in server.accepted]


def test_each_digest_is_a_personalization_of_its_own(server: SendGridServer) -> None:
    thread = {"References": "<a@b>", "In-Reply-To": "<a@b>"}
    outcomes = channel_to(server).send_together([digest(1, html="<p>1</p>", headers=thread), digest(2)])
    assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
    (body,) = bodies(server)
    assert body == {
        "from": {"email": "news@example.com", "name": "News"},
        "template_id": "d-changes",
        "personalizations": [
            {
                "to": [{"email": "r1@example.com"}],
                "subject": "Subject 1",
                "headers": thread,
                "custom_args": custom_args(digest(1), "the-tests"),
                "dynamic_template_data": {
                    "subject": "Subject 1",
                    "text": "Text 1",
                    "html": "<p>1</p>",
                    "items": 3,
                    "policy": "changes",
                },
            },
            {
                "to": [{"email": "r2@example.com"}],
                "subject": "Subject 2",
                "custom_args": custom_args(digest(2), "the-tests"),
                "dynamic_template_data": {
                    "subject": "Subject 2",
                    "text": "Text 2",
                    "html": "",
                    "items": 3,
                    "policy": "changes",
                },
            },
        ],
    }
    assert isinstance(outcomes[0], Accepted)
    assert outcomes[0].provider_id == server.accepted[0].message_id


def test_nobody_sees_what_another_one_gets(server: SendGridServer) -> None:
    channel_to(server).send_together([digest(number) for number in range(5)])
    (body,) = bodies(server)
    for personalization in body["personalizations"]:
        assert len(personalization["to"]) == 1
        own = personalization["to"][0]["email"][1 : -len("@example.com")]
        assert personalization["dynamic_template_data"]["text"] == f"Text {own}"
    assert "subject" not in body


def test_a_thousand_go_by_one_request(server: SendGridServer) -> None:
    assert known()["sendgrid-template"].together == 1000
    outcomes = channel_to(server).send_together([digest(number) for number in range(1000)])
    assert len(outcomes) == 1000
    (body,) = bodies(server)
    assert len(body["personalizations"]) == 1000


def test_templates_and_senders_have_requests_of_their_own(server: SendGridServer) -> None:
    others = [digest(2, policy="news"), digest(3, **{"from": "else@example.com"})]
    channel_to(server).send_together([digest(1), *others, digest(4)])
    sent = [(body["template_id"], body["from"]["email"], len(body["personalizations"])) for body in bodies(server)]
    assert sorted(sent) == [
        ("d-any", "news@example.com", 1),
        ("d-changes", "else@example.com", 1),
        ("d-changes", "news@example.com", 2),
    ]


def test_what_is_too_large_together_goes_by_several(server: SendGridServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_REQUEST", 2500)
    channel_to(server).send_together([digest(number, text="x" * 1000) for number in range(5)])
    assert [len(body["personalizations"]) for body in bodies(server)] == [2, 2, 1]


def test_a_refusal_is_nobodys_until_each_has_gone_alone(server: SendGridServer) -> None:
    group = [digest(1), digest(2, to="no address"), digest(3)]
    with pool(channel_to(server), together=1000) as senders:
        results = senders.send_here(Job(0, 1, group))
    assert [result.state for result in results] == ["ACCEPTED", "REFUSED", "ACCEPTED"]
    assert "'no address' is not a 'email'" in results[1].error
    sent = [one["to"][0]["email"] for message in server.accepted for one in message.body["personalizations"]]
    assert sent == ["r1@example.com", "r3@example.com"], "none is lost, none doubled"


def test_a_payload_that_lacks_something_stops_no_other(server: SendGridServer) -> None:
    faulty = digest(2)
    del faulty.payload["text"]
    with pool(channel_to(server), together=1000) as senders:
        results = senders.send_here(Job(0, 1, [digest(1), faulty, digest(3)]))
    assert [result.state for result in results] == ["ACCEPTED", "REFUSED", "ACCEPTED"]


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (Behaviour(status=500), Unknown),
        (Behaviour(action=Action.HANG_UP), Unknown),
        (Behaviour(status=503), NotSent),
        (Behaviour(status=401), Paused),
        (Behaviour(status=429, headers={"Retry-After": "9"}), Paused),
    ],
)
def test_what_becomes_of_a_request_becomes_of_all_its_messages(
    server: SendGridServer, behaviour: Behaviour, outcome: type
) -> None:
    server.script(behaviour)
    outcomes = channel_to(server).send_together([digest(1), digest(2)])
    assert [type(one) for one in outcomes] == [outcome, outcome]
    assert len(server.requests) == 1, "what may have been taken is not sent again"


def test_what_forbids_a_request_forbids_nobody_s_message_until_it_has_gone_alone(server: SendGridServer) -> None:
    server.script(Behaviour(status=403), Behaviour(), Behaviour(status=403))
    with pool(channel_to(server), together=1000) as senders:
        results = senders.send_here(Job(0, 1, [digest(3), digest(4)._replace(attempt=3)]))
    assert [result.state for result in results] == ["ACCEPTED", "REFUSED"]


def test_once_sendgrid_wants_a_rest_no_further_request_is_made(server: SendGridServer) -> None:
    server.script(Behaviour(status=429, headers={"Retry-After": "9"}))
    outcomes = channel_to(server).send_together([digest(1), digest(2, policy="news"), digest(3, policy="news")])
    assert [type(one) for one in outcomes] == [Paused] * 3
    assert len(server.requests) == 1


@pytest.mark.parametrize("letter", ["x", "ж", "😀"])
def test_the_size_is_what_goes_over_the_wire_and_is_looked_at_before_the_call(
    server: SendGridServer, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    bytes_of_each = len(json.dumps(letter)) - 2
    monkeypatch.setattr(module, "LARGEST_REQUEST", 2 * 1000 * bytes_of_each + 500)
    monkeypatch.setattr(module, "LARGEST_MESSAGE", 3 * 1000 * bytes_of_each)
    with pool(channel_to(server), together=1000) as senders:
        each = [digest(number, text=letter * 1000) for number in range(3)]
        results = senders.send_here(Job(0, 1, [*each, digest(9, text=letter * 3000)]))
    assert [result.state for result in results] == ["ACCEPTED"] * 3 + ["REFUSED"]
    assert "larger than SendGrid's 30 MB" in results[-1].error
    assert [len(body["personalizations"]) for body in bodies(server)] == [2, 1]


def test_one_alone_is_refused_by_itself(server: SendGridServer) -> None:
    assert isinstance(channel_to(server).send(digest(1, to="no address")), Refused)


def test_what_is_sent_again_is_the_same(server: SendGridServer) -> None:
    for _ in range(2):
        channel_to(server).send_together([digest(1), digest(2)])
    first, second = bodies(server)
    assert json.dumps(first) == json.dumps(second)
