"""A digest as an e-mail whose bytes are the same each time it is sent."""

import hashlib
from email.utils import format_datetime
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend

from pgsupervise.partitions.rows import ClaimedDelivery

from .identity import identity_of


class FrozenEmail(EmailMultiAlternatives):
    """A message that is composed once; neither its boundaries nor its headers hold anything random or new.

    Date is when it was sealed: when it was "complete and ready to enter the mail delivery system" (RFC 5322, 3.6.1).
    """

    _composed: tuple[str, Any] | None = None

    def message(self, *args: Any, **kwargs: Any) -> Any:
        """Return the composed message, whatever the backend asks it for. Raises ValueError where a header is none."""
        # Django 6 has the backend say by which policy: for SMTP with its line ends.
        asked = f"{args}{kwargs}"
        if self._composed is None or self._composed[0] != asked:
            composed = super().message(*args, **kwargs)
            _fix_boundaries(composed, self.extra_headers["Message-ID"])
            self._composed = asked, composed
        return self._composed[1]


def email_of(delivery: ClaimedDelivery, backend: BaseEmailBackend) -> FrozenEmail:
    """Return a delivery's message. Raises KeyError where the payload lacks a part."""
    payload = delivery.payload
    domain = payload["from"].rpartition("@")[2].rstrip("> \t") or "localhost"
    headers = {
        **payload.get("headers", {}),
        "Message-ID": f"<{identity_of(delivery)}@{domain}>",
        "Date": format_datetime(delivery.created_at),
    }
    email = FrozenEmail(
        subject=payload["subject"],
        body=payload["text"],
        from_email=payload["from"],
        to=[payload["to"]],
        headers=headers,
        connection=backend,
    )
    if payload.get("html"):
        email.attach_alternative(payload["html"], "text/html")
    return email


def _fix_boundaries(message: Any, message_id: str) -> None:
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            mark = hashlib.sha256(f"{message_id} {number}".encode()).hexdigest()[:40]
            part.set_boundary(f"=={mark}==")
