"""Digests to an incoming webhook of Slack, or of what understands the same (Mattermost, Rocket.Chat, Discord's /slack).

Its URL is a secret: whoever has it may post. It is looked up for each call, and in no payload, log, error or repr.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http.client import HTTPException

from pgsupervise.django_app.texts import one_line
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown

from .addresses import Network
from .endpoints import LookUpError, UrlOf, looked_up
from .guarded_http import Answer, UnreachableError, UnsentError, post, words_of
from .sendgrid_outcomes import wait_of

LONGEST_TEXT = 40_000
"""Characters; Slack cuts off what is longer (docs.slack.dev, chat.postMessage, "Truncating content")."""
CUT = "\n… (shortened)"
PAUSE = timedelta(seconds=60)
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""The three that Slack wants escaped, and no other (docs.slack.dev, "Formatting message text")."""


class SlackChannel:
    """Posts a delivery's frozen subject and text to the webhook of its address."""

    def __init__(self, *, url_of: UrlOf, timeout: float = 10.0, allowed: Sequence[Network] = ()) -> None:
        self._url_of = url_of
        self._timeout = timeout
        self._allowed = allowed

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it."""
        try:
            url = looked_up(self._url_of, str(delivery.payload["to"]))
        except LookUpError as failure:
            return NotSent(str(failure))
        if not url:
            return Refused("the address has no webhook")
        body = json.dumps({"text": text_of(delivery.payload)}).encode()
        try:
            headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "pgsupervise"}
            answer = post(url, body, headers, timeout=self._timeout, allowed=self._allowed)
        except UnreachableError as fault:
            return Refused(one_line(str(fault)))
        except UnsentError as failure:
            return NotSent(one_line(str(failure)))
        except (OSError, HTTPException) as failure:
            return Unknown(f"{type(failure).__name__} after the request was written")
        return of_answer(answer, words_of(answer, url))


def text_of(payload: Mapping[str, str]) -> str:
    """Return the message in Slack's mark-up: the subject in bold, then the text, as long as Slack takes."""
    subject = payload["subject"].replace("*", "\u2217").translate(_ESCAPED)
    text = f"*{subject}*\n{payload['text'].translate(_ESCAPED)}"
    if len(text) <= LONGEST_TEXT:
        return text
    kept = text[: LONGEST_TEXT - len(CUT)]
    # Not in the middle of an escaped character.
    return (kept[: kept.rindex("&")] if "&" in kept[-5:] and ";" not in kept[kept.rindex("&") :] else kept) + CUT


def of_answer(answer: Answer, reason: str) -> SendOutcome:
    """Classify Slack's answer: 200 alone means that it was posted.

    403, 404 and 410 are a webhook that is prohibited, unknown or of an archived channel; the words say which.
    """
    match answer.status:
        case 200:
            return Accepted()
        case 429:
            return Paused(reason, wait_of(answer.headers) or PAUSE)
        case 408 | 503:
            return NotSent(reason, wait_of(answer.headers))
        case status if 300 <= status < 500:
            return Refused(reason)
    return Unknown(reason)
