"""What policies say about wishes: channels to choose among, a category, and what cannot be muted."""

from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.django_app.policies import Policy

HOUR = timedelta(hours=1)


def test_one_channel_or_several() -> None:
    assert Policy(name="p", window=HOUR).channels == ("inbox",)
    assert Policy(name="p", window=HOUR, channel="sendgrid").channels == ("sendgrid",)
    both = Policy(name="p", window=HOUR, channel=["sendgrid", "inbox"], category="money", required=True)
    assert both.channels == ("sendgrid", "inbox")
    assert both.problems() == []


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ({"channel": []}, "a list of different ones"),
        ({"channel": ["inbox", "inbox"]}, "a list of different ones"),
        ({"channel": {"inbox": 1}}, "a list of different ones"),
        ({"channel": None}, "it must be a channel's name"),
        ({"channel": ["inbox", ""]}, "channel is empty"),
        ({"channel": ["inbox", 7]}, "channel is 7 (int): it must be a str"),
        ({"category": 7}, "category is 7"),
        ({"category": "x" * 101}, "shorten it to 100"),
        ({"required": "yes"}, "required is 'yes': it must be True or False"),
    ],
)
def test_a_faulty_declaration_is_refused(faulty: Any, told: str) -> None:
    (problem,) = Policy(name="p", window=HOUR, **faulty).problems()
    assert told in problem
