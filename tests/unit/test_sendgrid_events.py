"""What is taken of the events that SendGrid tells, and what is left out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings

from pgsupervise.django_app.channels.sendgrid_marks import custom_args
from pgsupervise.django_app.installation import installation_ids
from pgsupervise.django_app.provider_events import ProviderEvent, ProviderKind
from pgsupervise.django_app.sendgrid_events import MalformedError, parse
from tests.sendgrid_sending import delivery
from tests.sendgrid_webhook import event

OURS = ("ours",)
ARGS = custom_args(delivery(attempt=2), "ours")


def one(**changes: Any) -> list[ProviderEvent]:
    return parse(json.dumps([event(ARGS) | changes]).encode(), OURS)


def test_an_event_is_what_it_says() -> None:
    told = {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 no\nsuch\x00 user\ud800"}
    (found,) = one(**told, sg_event_id="e1", timestamp=1_780_000_000, asm_group_id=7, sg_message_id="m1")
    assert found == ProviderEvent(
        event_id="e1",
        kind=ProviderKind.BOUNCE,
        bucket=7,
        delivery_id=41,
        attempt=2,
        address="ada@example.com",
        occurred_at=datetime.fromtimestamp(1_780_000_000, UTC),
        reason="5.1.1 550 no such user",
        provider_id="m1",
        group_id=7,
    )


def test_a_block_is_no_bounce_and_long_words_are_cut() -> None:
    (found,) = one(event="bounce", type="blocked", reason="x" * 5000, email="a" * 400)
    assert (found.kind, len(found.reason), len(found.address)) == (ProviderKind.BLOCKED, 1000, 320)


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "open"},
        {"event": "blocked"},
        {"event": None},
        {"event": ["delivered"]},
        {"pgs_installation": "theirs"},
        {"pgs_installation": ["ours"]},
        {"pgs_installation": None},
        {"pgs_delivery": 41},
        {"pgs_delivery": "-41"},
        {"pgs_delivery": "9" * 19},
        {"pgs_delivery": "1" * 5000},
        {"pgs_delivery": "\u0664\u0661"},
        {"pgs_delivery": None},
        {"pgs_attempt": str(2**31)},
        {"pgs_attempt": ""},
        {"pgs_bucket": "256"},
        {"sg_event_id": ""},
        {"sg_event_id": 5},
        {"sg_event_id": "x" * 101},
        {"sg_event_id": "a\x00b"},
        {"sg_event_id": "\ud800"},
        {"timestamp": "1780000000"},
        {"timestamp": 1780000000.5},
        {"timestamp": 10**30},
        {"timestamp": -1},
        {"timestamp": True},
        {"timestamp": None},
    ],
)
def test_what_is_of_no_use_or_not_as_it_should_be_is_left_out(changes: dict[str, Any]) -> None:
    assert one(**changes) == []


def test_odd_events_leave_the_others_alone_and_one_told_twice_counts_once() -> None:
    good = event(ARGS)
    body = json.dumps([None, 5, "x", [], {}, {"event": {}}, good, good, event(ARGS)]).encode()
    assert len(parse(body, OURS)) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'"x"',
        b"null",
        b"[",
        b"[{]",
        b"\xff\xfe[\x00]\x00",
        "[]".encode("utf-16"),
        b"\xef\xbb\xbf[]",
        b"[\xc3\x28]",
        b"[NaN]",
        b"[Infinity]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_what_is_no_array_of_json_in_utf_8_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(body, OURS)


def test_an_installation_is_known_by_an_opaque_id_that_outlives_a_change_of_the_secret_key() -> None:
    with override_settings(SECRET_KEY="one"):
        (before,) = installation_ids()
    with override_settings(SECRET_KEY="two", SECRET_KEY_FALLBACKS=["one"]):
        now, then = installation_ids()
    with override_settings(SECRET_KEY="one", PGSUPERVISE={"INSTALLATION": "staging"}):
        (staging,) = installation_ids()
    assert then == before
    assert len({before, now, staging}) == 3
    assert "staging" not in staging
    assert before.isalnum()
