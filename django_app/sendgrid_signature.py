"""The signature of SendGrid's Event Webhook: ECDSA (P-256, SHA-256) over the timestamp and the raw body.

Not by the `sendgrid` package's helper: it takes the body as text, which breaks the signature of one that is not UTF-8,
raises on a missing or malformed header, and does not look at the time.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

LONGEST_SIGNATURE, LONGEST_TIMESTAMP = 200, 11
AHEAD = timedelta(minutes=5)
"""How far SendGrid's clock may be ahead of ours."""


@lru_cache(maxsize=32)
def public_key(text: str) -> EllipticCurvePublicKey:
    """Return the key of a verification key as SendGrid shows it (base64), or of a PEM file.

    Raises ValueError, which does not say what was in the text, for anything but a public key on the curve P-256.
    """
    try:
        if "-----BEGIN" in text:
            key = load_pem_public_key(text.encode())
        else:
            key = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key: copy the verification key from SendGrid's settings again") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("it is a key of another kind: SendGrid's verification keys are ECDSA keys on the curve P-256")
    return key


def is_fresh(timestamp: str, now: datetime, freshness: timedelta) -> bool:
    """Return whether a request was signed within `freshness` before now, by a timestamp in seconds since 1970."""
    if not (timestamp.isascii() and timestamp.isdecimal()) or len(timestamp) > LONGEST_TIMESTAMP:
        return False
    signed_at = datetime.fromtimestamp(int(timestamp), UTC)
    return now - freshness <= signed_at <= now + AHEAD


def is_signed(body: bytes, signature: str, timestamp: str, keys: Sequence[EllipticCurvePublicKey]) -> bool:
    """Return whether one of the keys has signed this timestamp and body; False for whatever is no signature."""
    if len(signature) > LONGEST_SIGNATURE:
        return False
    try:
        signed = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    digest = Hash(SHA256())
    digest.update(timestamp.encode())
    digest.update(body)
    hashed = digest.finalize()  # once, however many keys there are
    return any(_has_signed(key, signed, hashed) for key in keys)


def _has_signed(key: EllipticCurvePublicKey, signature: bytes, hashed: bytes) -> bool:
    try:
        key.verify(signature, hashed, ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True
