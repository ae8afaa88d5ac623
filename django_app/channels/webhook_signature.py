"""The signature of Standard Webhooks (standardwebhooks.com, specification 1.0.0)."""

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Sequence

from pgsupervise.django_app.channel_settings import secret_bytes


def signed_now(message_id: str, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of a message that is sent now: its receiver compares the time with its own."""
    return signed(message_id, int(time.time()), body, secrets)


def signed(message_id: str, at: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the three headers. Raises TypeError or ValueError for a secret that is none, without showing it."""
    content = f"{message_id}.{at}.".encode() + body
    signatures = (hmac.new(secret_bytes(secret), content, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{b64encode(signature).decode()}" for signature in signatures),
    }
