"""Who has signed a request, and when."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sendgrid.helpers.eventwebhook import EventWebhook

from pgsupervise.django_app.sendgrid_signature import is_fresh, is_signed, public_key
from tests.sendgrid_webhook import SIGNATURE, TIMESTAMP, Signer

BODY = b'[{"event": "delivered"}]\r\n'
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
DAY = timedelta(days=1)
Change = Callable[[bytes, str, str], tuple[bytes, str, str]]


def shown(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def test_what_one_of_the_keys_has_signed_is_known_as_the_package_knows_it() -> None:
    old, new = Signer(), Signer()
    headers = new.headers(BODY)
    keys = [public_key(old.key), public_key(new.pem)]
    assert is_signed(BODY, headers[SIGNATURE], headers[TIMESTAMP], keys)
    assert not is_signed(BODY, headers[SIGNATURE], headers[TIMESTAMP], keys[:1])
    assert not is_signed(BODY, headers[SIGNATURE], headers[TIMESTAMP], [])
    theirs = EventWebhook(new.key)
    assert theirs.verify_signature(BODY.decode(), headers[SIGNATURE], headers[TIMESTAMP])


@pytest.mark.parametrize(
    "changed",
    [
        lambda body, signature, at: (body.rstrip(), signature, at),
        lambda body, signature, at: (body + b" ", signature, at),
        lambda body, signature, at: (b"", signature, at),
        lambda body, signature, at: (body, signature, str(int(at) + 1)),
        lambda body, signature, at: (body, signature[:-4], at),
        lambda body, signature, at: (body, "", at),
        lambda body, signature, at: (body, "AAAA", at),
        lambda body, signature, at: (body, "not base64!", at),
        lambda body, signature, at: (body, "\u00fc", at),
        lambda body, signature, at: (body, "A" * 4000, at),
        lambda body, signature, at: (body, base64.b64encode(b"\x30\x06\x02\x01\x00\x02\x01\x00").decode(), at),
    ],
)
def test_whatever_was_changed_is_not_signed(changed: Change) -> None:
    signer = Signer()
    headers = signer.headers(BODY)
    body, signature, timestamp = changed(BODY, headers[SIGNATURE], headers[TIMESTAMP])
    assert not is_signed(body, signature, timestamp, [public_key(signer.key)])


@pytest.mark.parametrize(
    ("timestamp", "fresh"),
    [
        (str(SECONDS), True),
        (str(SECONDS - 86_400), True),
        (str(SECONDS - 86_401), False),
        (str(SECONDS + 300), True),
        (str(SECONDS + 301), False),
        ("", False),
        ("now", False),
        (f"{SECONDS}.5", False),
        (f"-{SECONDS}", False),
        ("\u0661\u0662\u0663", False),
        ("9" * 11, False),
        ("9" * 400, False),
    ],
)
def test_a_request_is_good_for_as_long_as_is_said(timestamp: str, fresh: bool) -> None:
    assert is_fresh(timestamp, NOW, DAY) is fresh


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SG.this-is-an-api-key",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        shown(ec.generate_private_key(ec.SECP384R1()).public_key()),
        shown(rsa.generate_private_key(65537, 2048).public_key()),
    ],
)
def test_what_is_no_such_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"copy the verification key|on the curve P-256") as refused:
        public_key(text)
    assert not text or text not in str(refused.value)
