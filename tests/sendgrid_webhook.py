"""SendGrid's Event Webhook as a test plays it: events about messages, signed with a key of its own."""

import base64
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.http import HttpResponse
from django.test import Client

PATH = "/sendgrid/events/"
SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"


class Signer:
    """A key pair; `key` is the verification key as SendGrid shows it."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        shown = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key = base64.b64encode(shown).decode()
        self.pem = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def headers(self, body: bytes, at: float | None = None) -> dict[str, str]:
        """Return the headers of a request that is signed now, or at some other time."""
        timestamp = str(int(time.time() if at is None else at))
        signature = self._private.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


def event(args: dict[str, Any], kind: str = "delivered", **more: Any) -> dict[str, Any]:
    """Return an event about the message with these custom_args."""
    return {
        "email": "ada@example.com",
        "timestamp": int(time.time()),
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": kind,
        "sg_event_id": uuid.uuid4().hex,
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        **args,
        **more,
    }


def post(body: bytes, headers: dict[str, str]) -> HttpResponse:
    """Post a body as it is."""
    answer: Any = Client().post(PATH, body, content_type="application/json", headers=headers)
    return cast(HttpResponse, answer)


def tell(signer: Signer, events: Sequence[Any]) -> int:
    """Post signed events as SendGrid does, and return the status."""
    body = json.dumps(list(events)).encode() + b"\r\n"
    return post(body, signer.headers(body)).status_code
