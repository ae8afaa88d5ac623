"""What SendGrid's answer, or the lack of one, says about a message.

| what happened                                       | outcome     | because                                   |
|-----------------------------------------------------|-------------|-------------------------------------------|
| 202                                                 | `Accepted`  | the only answer that means it             |
| 429                                                 | `Paused`    | until the time that the answer names      |
| 401, 407, 3xx                                       | `Paused`    | key, quota, address of the service        |
| 403                                                 | `Forbidden` | a block, or this message's sender         |
| 408, 503                                            | `NotSent`   | it says so                                |
| every other 4xx                                     | `Refused`   | this message will never do                |
| every other 5xx, 200 and every other 2xx            | `Unknown`   | it may have been taken                    |
| no connection, or it broke before the request's end | `NotSent`   | half a request is none                    |
| no complete answer to a complete request            | `Unknown`   | it may have been taken                    |

403 says "too many bad requests, temporary block" of an account, and is said of a sender that is not verified too. So it
pauses the channel where it comes for three messages in a row, none having been accepted in between, and for the one
that is on trial after a pause; nothing is burnt then. Otherwise the message is tried again after two minutes, and
refused at its third try.

429 pauses, for the whole cluster and until the time that the answer names, and one message goes on trial then. The rate
is not lowered by guessing: a limit that is known is for `CHANNEL_LIMITS` to keep.

Statuses decide, never the client's exception classes: 402, 406, 408, 451 and 502 have none of their own.

3xx pauses: it comes from a wrong `host` or from something between here and SendGrid, nobody has read the message (the
redirect is not followed), and refusing would bury every message of such an hour. 200 does not pause although it is as
wrong, because a gateway that rewrites 202 to 200 would then send the same message once a minute without end, and
unknown messages are counted and capped.
"""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException, InvalidURL
from typing import Any, Protocol
from urllib.error import URLError

from pgsupervise.supervisor.outcomes import Accepted, Forbidden, NotSent, Paused, Refused, SendOutcome, Unknown

PAUSE = timedelta(seconds=60)
SHORTEST_SECONDS, LONGEST_SECONDS = 1, 900
LONGEST_REASON, LONGEST_PROVIDER_ID = 1000, 200
CONNECTION_FAILURES = (OSError, HTTPException)
"""What urllib raises when there is no answer: `URLError` and `TimeoutError` are `OSError`, `IncompleteRead` is not."""


class Answer(Protocol):
    """What the client's response and its HTTP error have in common."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


def of_answer(answer: Answer) -> SendOutcome:
    """Classify what SendGrid answered."""
    status = answer.status_code
    reason = f"{status} {_words(answer.body)}".strip()[:LONGEST_REASON]
    match status:
        case 202:
            return Accepted(_storable(answer.headers.get("X-Message-Id", ""))[:LONGEST_PROVIDER_ID])
        case 429:
            return Paused(reason, wait_of(answer.headers) or PAUSE)
        case 403:
            return Forbidden(reason)
        case 401 | 407:
            return Paused(reason, PAUSE)
        case 408 | 503:
            return NotSent(reason, wait_of(answer.headers))
        case _ if 300 <= status < 400:
            return Paused(f"{reason} redirect to {_storable(answer.headers.get('Location', ''))[:200]}", PAUSE)
        case _ if 400 <= status < 500:
            return Refused(reason)
        case _:
            return Unknown(reason)


def of_failure(failure: OSError | HTTPException) -> SendOutcome:
    """Classify a request without an answer.

    urllib raises `URLError` for whatever happens up to the last byte of the request (name, connection, TLS, proxy,
    writing) and lets through what happens afterwards. The body's length is announced, so no one takes half of it.
    """
    words = _storable(f"{type(failure).__name__}: {failure}")[:LONGEST_REASON]
    if isinstance(failure, URLError | InvalidURL):  # the latter before anything is written
        return NotSent(words)
    return Unknown(words)


def _words(body: bytes) -> str:
    """Return the provider's own words: the messages of `errors[]`, or the beginning of whatever else came."""
    try:
        errors = json.loads(body)["errors"]
        text = "; ".join(_error_words(error) for error in errors)
    except (ValueError, TypeError, LookupError, RecursionError):
        text = body.decode(errors="replace")[:LONGEST_REASON]
    return _storable(text)


def _error_words(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    field = error.get("field")
    return f"{error.get('message')} (field {field})" if field else str(error.get("message"))


def _storable(text: str) -> str:
    """Return the text on one line without what PostgreSQL cannot store: NUL and halves of surrogate pairs."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def wait_of(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the provider asks to wait, within reason, or None where it does not say or makes no sense."""
    now = time.time()
    try:
        if reset := headers.get("X-RateLimit-Reset"):
            seconds = int(reset) - int(now)
        elif (after := headers.get("Retry-After", "")).strip().isdecimal():
            seconds = int(after)
        else:
            seconds = int(parsedate_to_datetime(after).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS))
