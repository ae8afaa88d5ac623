"""Mail by SendGrid's Mail Send API, one recipient a request."""

import logging
from typing import Any
from urllib.parse import urlsplit

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from pgsupervise.django_app.addresses import split_address
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Refused, SendOutcome

from . import sendgrid_outcomes as outcomes
from .keep_alive import KeptConnection
from .mail_safety import header_fault, is_larger
from .sendgrid_http import PromptClient, prompt_opener
from .sendgrid_marks import custom_args

LARGEST_MESSAGE = 30_000_000
"""Bytes with headers and attachments (https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations)."""
TOO_LARGE = f"the request is larger than SendGrid's {LARGEST_MESSAGE // 1_000_000} MB"
# It would add a header and a link of its own beside ours, and RFC 2369 (3.2) allows one header.
NO_SUBSCRIPTION_TRACKING = {"subscription_tracking": {"enable": False}}


class SendGridChannel:
    """Sends a delivery's frozen payload. One instance a thread: the client underneath is not made for sharing.

    `timeout`, in seconds, bounds each attempt to connect (one for every address of the host), each socket operation of
    the TLS handshake, each write, and the reply from its first byte to its last taken together. It does not bound the
    look-up of the host's name, which is the resolver's business. Proxies are taken from the environment. `installation`
    tells its messages' events from those of others that use the same account.
    """

    def __init__(
        self, *, api_key: str, host: str = "https://api.sendgrid.com", timeout: float = 10.0, installation: str = ""
    ) -> None:
        key = api_key.strip()  # a secret read from a file ends in a newline
        # What http.client refuses in a header it quotes in its error, and with it the key.
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("the SendGrid API key is empty or has characters that no key has")
        if urlsplit(host).scheme not in ("https", "http") or not urlsplit(host).hostname:
            raise ValueError(f"the SendGrid host must be a URL such as https://api.sendgrid.com, not {host!r}")
        if timeout <= 0:
            raise ValueError(f"the SendGrid timeout must be more than 0 seconds, not {timeout}")
        self._host, self._timeout, self._installation = host.rstrip("/"), timeout, installation
        self._kept = KeptConnection()
        self._api = SendGridAPIClient(api_key=key, host=self._host)
        # The package's own client has no timeout at all, and no place in its constructor to give one.
        self._api.client = PromptClient(
            opener=prompt_opener(self._kept),
            host=self._host,
            request_headers=self._api.client.request_headers,
            version=3,
            timeout=timeout,
        )
        # At DEBUG this logger writes the Authorization header and every message's text.
        logging.getLogger("python_http_client.client").setLevel(logging.WARNING)

    def __del__(self) -> None:
        if hasattr(self, "_kept"):
            self._kept.drop()

    def rest(self) -> None:
        """Close the connection; the next message opens another one."""
        self._kept.drop()

    def __repr__(self) -> str:
        return f"SendGridChannel(host={self._host!r}, timeout={self._timeout})"

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it."""
        if fault := header_fault(delivery.payload):
            return Refused(fault)
        try:
            body = message(delivery, self._installation)
        except KeyError as missing:
            return Refused(f"the payload has no {missing}")
        if is_larger(body, LARGEST_MESSAGE):
            # SendGrid hangs up while a message of this size is being written, and its 413 is never seen.
            return Refused(TOO_LARGE)
        return self.post(body)

    def post(self, body: dict[str, Any]) -> SendOutcome:
        """Send a request and say what is known about its messages."""
        try:
            return outcomes.of_answer(self._api.send(body))
        except HTTPError as answer:
            return outcomes.of_answer(answer)
        except outcomes.CONNECTION_FAILURES as failure:
            return outcomes.of_failure(failure)


def message(delivery: ClaimedDelivery, installation: str) -> dict[str, Any]:
    """Return the request's body, the same for each call of an attempt: it holds no time and nothing random.

    A plain dict, never the package's `Mail` helpers: they lose the address of "Smith, Bob <bob@example.com>", show
    recipients to each other, and raise on a text that looks like an API key.
    """
    payload = delivery.payload
    content = [{"type": "text/plain", "value": payload["text"]}]
    if payload.get("html"):
        content.append({"type": "text/html", "value": payload["html"]})
    body = {
        "personalizations": [
            {
                # No name: SendGrid refuses a recipient's name with a comma in it.
                "to": [{"email": split_address(payload["to"])[1]}],
                # Every event of the Event Webhook brings these back, and only these: an answer's id may be lost.
                "custom_args": custom_args(delivery, installation),
            }
        ],
        "from": address_of(payload["from"]),
        "subject": payload["subject"],
        "content": content,
    }
    if headers := payload.get("headers"):
        body["headers"] = headers
        if "List-Unsubscribe" in headers:
            body["tracking_settings"] = NO_SUBSCRIPTION_TRACKING
    return body


def address_of(text: str) -> dict[str, str]:
    """Return an address as SendGrid takes a sender's: with its name where it has one."""
    name, email = split_address(text)
    return {"email": email} | ({"name": name} if name else {})
