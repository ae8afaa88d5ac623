"""Digests as webhooks, signed by the rules of Standard Webhooks (standardwebhooks.com, specification 1.0.0)."""

import json
from collections.abc import Sequence
from http.client import HTTPException

from pgsupervise.django_app.texts import one_line
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Refused, SendOutcome, Unknown

from .addresses import Network
from .endpoints import EndpointOf, LookUpError, looked_up
from .guarded_http import Answer, UnreachableError, UnsentError, post, words_of
from .identity import identity_of
from .sendgrid_outcomes import wait_of
from .webhook_signature import signed_now


class WebhookChannel:
    """Sends a delivery's frozen payload to the endpoint of its address. The id is the same each time: a receiver drops
    what it has taken before, so sending again is harmless.
    """

    def __init__(self, *, endpoint_of: EndpointOf, timeout: float = 10.0, allowed: Sequence[Network] = ()) -> None:
        self._endpoint_of = endpoint_of
        self._timeout = timeout
        self._allowed = allowed

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it."""
        try:
            endpoint = looked_up(self._endpoint_of, str(delivery.payload["to"]))
        except LookUpError as failure:
            return NotSent(str(failure))
        if endpoint is None:
            return Refused("the address has no endpoint")
        body = body_of(delivery)
        headers = {"Content-Type": "application/json", "User-Agent": "pgsupervise"}
        try:
            headers |= signed_now(identity_of(delivery), body, endpoint.secrets)
            answer = post(endpoint.url, body, headers, timeout=self._timeout, allowed=self._allowed)
        except (UnreachableError, TypeError, ValueError) as fault:
            return Refused(one_line(str(fault)))
        except UnsentError as failure:
            return NotSent(one_line(str(failure)))
        except (OSError, HTTPException) as failure:
            return Unknown(f"{type(failure).__name__} after the request was written")
        return of_answer(answer, words_of(answer, endpoint.url))


def body_of(delivery: ClaimedDelivery) -> bytes:
    """Return the request's body, the same bytes each time."""
    payload = delivery.payload
    data = {
        "policy": delivery.policy,
        "recipient": delivery.recipient,
        "subject": payload.get("subject", ""),
        "text": payload.get("text", ""),
        "html": payload.get("html", ""),
        "events": payload.get("item_ids", []),
    }
    whole = {"type": "digest", "timestamp": delivery.created_at.isoformat(), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def of_answer(answer: Answer, reason: str) -> SendOutcome:
    """Classify an answer: what is an endpoint's own trouble pauses nobody else's messages.

    A redirect is a failure (the specification forbids to follow it), and one of a site in maintenance may end.
    """
    match answer.status:
        case status if 200 <= status < 300:
            return Accepted()
        case 408 | 425 | 429:
            return NotSent(reason, wait_of(answer.headers))
        case status if 400 <= status < 500:
            return Refused(reason)
    return NotSent(reason, wait_of(answer.headers))
