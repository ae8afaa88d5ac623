"""What the status of an HTTP answer says about a message, where the receiver has no rules of its own."""

from collections.abc import Mapping
from datetime import timedelta

from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown

from .sendgrid_outcomes import wait_of

PAUSE = timedelta(seconds=60)


def of_status(status: int, reason: str, headers: Mapping[str, str]) -> SendOutcome:
    """Classify an answer: account and quota pause the channel, another 4xx is the message's, a 5xx nobody can tell."""
    match status:
        case _ if 200 <= status < 300:
            return Accepted()
        case 429:
            return Paused(reason, wait_of(headers) or PAUSE)
        case 401 | 402 | 403 | 407:
            return Paused(reason, PAUSE)
        case 408 | 503:
            return NotSent(reason, wait_of(headers))
        case _ if 400 <= status < 500:
            return Refused(reason)
        case _ if 300 <= status < 400:
            return Paused(reason, PAUSE)
    return Unknown(reason)
