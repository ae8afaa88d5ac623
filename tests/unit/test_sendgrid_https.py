"""Over TLS the same rules hold, and nobody is trusted who cannot prove to be SendGrid."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pgsupervise.django_app.channels import keep_alive
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Unknown
from tests.sendgrid_sending import channel, delivery, outcome
from tests.sendgrid_server import Action, Behaviour, SendGridServer


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    # urllib would send even requests to 127.0.0.1 through a proxy that the environment names.
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="session", name="certificate")
def loopback_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_certificate_that_nobody_trusts_did_not_send_it(certificate: Path) -> None:
    with SendGridServer(certificate=certificate) as server:
        found = channel(server).send(delivery())
    assert type(found) is NotSent
    assert "CERTIFICATE_VERIFY_FAILED" in found.reason
    assert server.accepted == []


@pytest.mark.parametrize(("action", "kind"), [(Action.ANSWER, Accepted), (Action.DRIP, Unknown)])
def test_https_sends_and_has_the_same_deadline(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, action: Action, kind: type[Any]
) -> None:
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate))
    with SendGridServer(certificate=certificate) as server:
        found = outcome(server, Behaviour(action=action), timeout=5.0 if kind is Accepted else 0.5)
    assert type(found) is kind
    assert len(server.accepted) == 1


def test_one_handshake_serves_several_messages(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate))
    monkeypatch.setattr(keep_alive, "REUSE_SECONDS", 60.0)
    with SendGridServer(certificate=certificate) as server:
        sender = channel(server)
        found = [type(sender.send(delivery())) for _ in range(3)]
        assert (found, server.connections) == ([Accepted] * 3, 1)
