"""E-mail through Django's backends: byte-true over real SMTP, and each failure has its outcome."""

import email
import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.policy import default
from typing import Any, cast

import pytest
import requests
from anymail import exceptions as anymail
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend

from pgsupervise.django_app.channels import email as module
from pgsupervise.django_app.channels.email import EmailChannel
from pgsupervise.django_app.channels.email_outcomes import of_failure, of_opening
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown
from tests.sendgrid_sending import delivery
from tests.smtp_server import HANG, HANG_UP, SmtpServer

SMTP = "django.core.mail.backends.smtp.EmailBackend"
LOCAL = "django.core.mail.backends.locmem.EmailBackend"
SEALED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
TEXT = "Grüße, Ädä\n.\n..dots\n" + "a long line " * 200 + "\nFrom here on\n\ttabs, 漢字 and 🙂\n"
HTML = "<p>Grüße &amp; <b>漢字</b></p>\n"
THREAD = {"References": "<changes.a.b@example.com>", "In-Reply-To": "<changes.a.b@example.com>"}


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def channels() -> Iterator[list[EmailChannel]]:
    opened: list[EmailChannel] = []
    yield opened
    for one in opened:
        one.rest()


def channel_to(server: SmtpServer, opened: list[EmailChannel], timeout: float = 20.0, **options: Any) -> EmailChannel:
    opened.append(EmailChannel(backend=SMTP, timeout=timeout, options=server.options(**options)))
    return opened[-1]


def digest(number: int = 41, **payload: Any) -> ClaimedDelivery:
    full = {"subject": "Ünïcödé: 3 changes 🙂", "text": TEXT, "html": HTML, "headers": THREAD, **payload}
    return delivery(full)._replace(id=number, created_at=SEALED)


def parsed(content: bytes | None) -> EmailMessage:
    return email.message_from_bytes(content or b"", policy=default)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return text_of(found)


def text_of(message: MIMEPart) -> str:
    """Return the text with line ends as they were written: on the way they are CRLF (RFC 5321, 2.3.8)."""
    return cast(str, message.get_content()).replace("\r\n", "\n")


def test_a_digest_arrives_byte_true(server: SmtpServer, channels: list[EmailChannel]) -> None:
    outcome = channel_to(server, channels).send(digest())
    (envelope,) = server.received
    message = parsed(cast(bytes, envelope.content))
    assert outcome == Accepted(message["Message-ID"])
    assert (envelope.mail_from, envelope.rcpt_tos) == ("news@example.com", ["bob@example.com"])
    assert part(message, "plain") == TEXT
    assert part(message, "html") == HTML
    assert message["Subject"] == "Ünïcödé: 3 changes 🙂"
    assert (message["From"], message["To"]) == ("News <news@example.com>", "bob@example.com")
    assert (message["References"], message["In-Reply-To"]) == (THREAD["References"], THREAD["In-Reply-To"])
    assert message["Date"].datetime == SEALED
    assert message["Message-ID"].endswith("@example.com>")
    assert message.get_content_type() == "multipart/alternative"


def test_what_is_sent_again_is_the_same_bytes(server: SmtpServer, channels: list[EmailChannel]) -> None:
    channel_to(server, channels).send(digest())
    channel_to(server, channels).send(digest()._replace(attempt=2))
    first, second = server.received
    assert first.content == second.content
    channel_to(server, channels).send(digest(42))
    ids = [parsed(cast(bytes, one.content))["Message-ID"] for one in server.received]
    assert ids[0] == ids[1] != ids[2]


def test_a_text_alone_is_no_multipart(server: SmtpServer, channels: list[EmailChannel]) -> None:
    channel_to(server, channels).send(digest(html=""))
    message = parsed(cast(bytes, server.received[0].content))
    assert message.get_content_type() == "text/plain"
    assert text_of(message) == TEXT


def test_messages_share_a_connection_until_it_rests(server: SmtpServer, channels: list[EmailChannel]) -> None:
    channel = channel_to(server, channels)
    for number in range(3):
        assert isinstance(channel.send(digest(number)), Accepted)
    assert server.connections == 1
    channel.rest()
    channel.rest()
    assert isinstance(channel.send(digest(4)), Accepted)
    assert server.connections == 2


def test_an_idle_connection_is_not_trusted(
    server: SmtpServer, channels: list[EmailChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = channel_to(server, channels)
    channel.send(digest(1))
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    channel.send(digest(2))
    assert server.connections == 2


def test_a_connection_that_the_server_has_closed_costs_no_attempt(
    server: SmtpServer, channels: list[EmailChannel]
) -> None:
    channel = channel_to(server, channels)
    channel.send(digest(1))
    channel._backend.connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]  # of the SMTP backend
    assert isinstance(channel.send(digest(2)), Accepted)
    assert (server.connections, len(server.received)) == (2, 2)


@pytest.mark.parametrize(
    ("replies", "outcome", "words"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, Refused, "550 5.1.1 no such user"),
        ({"RCPT": "452 4.2.2 mailbox full"}, NotSent, "452"),
        ({"MAIL": "451 4.3.0 later"}, NotSent, "451"),
        ({"MAIL": "553 5.7.1 not your address"}, Paused, "553"),
        ({"MAIL": "552 5.3.4 too large"}, Refused, "552"),
        ({"DATA": "554 5.7.1 spam"}, Refused, "554 5.7.1 spam"),
        ({"DATA": "451 4.7.1 greylisted"}, NotSent, "451"),
        ({"MAIL": HANG_UP}, NotSent, "SMTPServerDisconnected"),
        ({"RCPT": HANG_UP}, NotSent, "SMTPServerDisconnected"),
        ({"DATA": HANG_UP}, Unknown, "SMTPServerDisconnected"),
    ],
)
def test_each_refusal_has_its_outcome(
    channels: list[EmailChannel], replies: dict[str, str], outcome: type[SendOutcome], words: str
) -> None:
    with SmtpServer(replies=replies) as server:
        channel = channel_to(server, channels)
        found = channel.send(digest())
        assert type(found) is outcome
        assert words in str(found)
        server.replies.clear()
        assert isinstance(channel.send(digest(2)), Accepted), "the channel goes on"


@pytest.mark.parametrize(("command", "outcome"), [("RCPT", NotSent), ("DATA", Unknown)])
def test_silence_is_unknown_from_the_content_on(
    channels: list[EmailChannel], command: str, outcome: type[SendOutcome]
) -> None:
    with SmtpServer(replies={command: HANG}) as server:
        assert type(channel_to(server, channels, timeout=0.5).send(digest())) is outcome


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_wrong_password_pauses_and_is_not_told(channels: list[EmailChannel]) -> None:
    with SmtpServer(password=b"right") as server:
        found = channel_to(server, channels, username="us", password="wrong-secret").send(digest())
        assert isinstance(found, Paused)
        assert "wrong-secret" not in f"{found} {channels[0]!r}"
        assert isinstance(channel_to(server, channels, username="us", password="right").send(digest()), Accepted)


def test_a_server_that_is_not_there_has_taken_nothing(channels: list[EmailChannel]) -> None:
    with SmtpServer() as server:
        gone = channel_to(server, channels)
    assert isinstance(gone.send(digest()), NotSent)


@pytest.mark.parametrize(
    "payload", [{"subject": "a\r\nBcc: eve@example.com"}, {"to": "a@example.com\nBcc: eve@example.com"}]
)
def test_a_header_cannot_be_broken_out_of(channels: list[EmailChannel], payload: dict[str, str]) -> None:
    with SmtpServer() as server:
        assert isinstance(channel_to(server, channels).send(digest(41, **payload)), Refused)
        assert server.connections == 0


def test_a_payload_without_a_text_is_refused(channels: list[EmailChannel]) -> None:
    bare = digest()._replace(payload={"items": 1, "from": "a@b.c"})
    assert isinstance(EmailChannel(backend=LOCAL).send(bare), Refused)


def test_any_backend_will_do(channels: list[EmailChannel]) -> None:
    mail.outbox = []
    assert isinstance(EmailChannel(backend=LOCAL).send(digest()), Accepted)
    (sent,) = mail.outbox
    assert (sent.subject, sent.to) == ("Ünïcödé: 3 changes 🙂", ["bob@example.com"])


def test_a_backend_that_sends_nothing_has_refused() -> None:
    assert isinstance(EmailChannel(backend="tests.unit.test_email_channel.Silent").send(digest()), Refused)


def test_a_backend_that_does_not_count_has_not_refused() -> None:
    assert isinstance(EmailChannel(backend=f"{__name__}.Countless").send(digest()), Accepted)


class Countless(BaseEmailBackend):
    """Sends, and does not say how much."""

    def send_messages(self, email_messages: Any) -> Any:
        return None


class Silent(BaseEmailBackend):
    """Sends nothing, and raises what it is told to."""

    raises: Exception | None = None

    def send_messages(self, email_messages: Any) -> int:
        if self.raises is not None:
            raise self.raises
        return 0


class _Reply:
    reason, text = "Because", "no json"

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code, self.headers = status, headers


def api(status: int, **headers: str) -> Exception:
    return cast(Exception, anymail.AnymailRequestsAPIError("said so", response=_Reply(status, **headers)))


def cut(cause: Exception) -> Exception:
    """Return what django-anymail raises where `requests` has raised this."""
    error: Exception = anymail.AnymailRequestsAPIError("Error posting")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (api(400), Refused),
        (api(401), Paused),
        (api(429, **{"Retry-After": "30"}), Paused),
        (api(503), NotSent),
        (api(500), Unknown),
        (cut(requests.ReadTimeout("slow")), Unknown),
        (cut(requests.ConnectTimeout("slow")), NotSent),
        (cut(requests.ConnectionError(ConnectionRefusedError("refused"))), NotSent),
        (cut(requests.ConnectionError(ConnectionResetError("reset"))), Unknown),
        (anymail.AnymailRecipientsRefused(), Refused),
        (anymail.AnymailInvalidAddress("no"), Refused),
        (anymail.AnymailUnsupportedFeature("no"), Refused),
        (anymail.AnymailConfigurationError("no key"), Paused),
        (ImproperlyConfigured("no key"), Paused),
        (RuntimeError("who knows"), Unknown),
        (ssl.SSLCertVerificationError("expired"), NotSent),
    ],
)
def test_what_a_provider_says_has_its_outcome(
    failure: Exception, outcome: type[SendOutcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Silent, "raises", failure)
    found = EmailChannel(backend=f"{__name__}.Silent").send(digest())
    assert type(found) is outcome
    if isinstance(found, Paused) and "429" in found.reason:
        assert found.retry_after.total_seconds() == 30


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (smtplib.SMTPAuthenticationError(535, b"no"), Paused),
        (smtplib.SMTPConnectError(554, "no service"), Paused),
        (smtplib.SMTPConnectError(421, "too many"), NotSent),
        (smtplib.SMTPNotSupportedError("no STARTTLS"), Paused),
        (ssl.SSLCertVerificationError("expired"), Paused),
        (TimeoutError("slow"), NotSent),
        (socket.gaierror("no such name"), NotSent),
        (ImproperlyConfigured("no key"), Paused),
    ],
)
def test_what_fails_before_a_message_has_its_outcome(failure: Exception, outcome: type[SendOutcome]) -> None:
    assert type(of_opening(failure)) is outcome


def test_a_limit_of_the_connection_is_no_refusal() -> None:
    assert isinstance(of_failure(smtplib.SMTPSenderRefused(421, b"enough", "us"), content_began=False), NotSent)
