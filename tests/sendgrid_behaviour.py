"""What the test server does with a request: what the provider decides, and how that reaches the sender."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from tests.sendgrid_description import Problem


class Action(StrEnum):
    """How the answer fares."""

    ANSWER = "answer"
    HANG_UNREAD = "hang_unread"
    """Never read the body, never answer."""
    HANG_READ = "hang_read"
    """Read the body, decide, never answer."""
    HANG_UP_UNREAD = "hang_up_unread"
    HANG_UP = "hang_up"
    """Read the body, decide, hang up without a word."""
    HALF_REPLY = "half_reply"
    """Announce a longer body than is sent."""
    DRIP = "drip"
    """Answer a byte at a time, each soon after the last."""
    SLOW = "slow"
    """Answer after a while."""
    CLOSE_UNTOLD = "close_untold"
    """Answer, and close the connection without having said so."""
    RAW = "raw"
    """Write the behaviour's text as it is, head and all, and hang up."""
    FLOOD = "flood"
    """Answer with a body that has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What to do with one request: `status` is what the provider decides, `action` how that reaches the sender.

    The message counts as accepted when the body was read and the status is 202, unless `takes` says otherwise.
    """

    action: Action = Action.ANSWER
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    takes: bool | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build from what arrived as JSON, where an action is a string."""
        return cls(**(values | {"action": Action(values.get("action", "answer"))}))

    @property
    def text(self) -> str:
        """The answer's body: errors as SendGrid words them, unless the test has other words."""
        if self.body is not None:
            return self.body
        return errors([Problem(f"scripted {self.status}", None)]) if self.status >= 400 else ""


def errors(found: Iterable[Problem]) -> str:
    """Return problems as SendGrid's body words them."""
    return json.dumps({"errors": [asdict(problem) | {"help": None} for problem in found]})
