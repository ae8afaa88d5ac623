"""E-mail through any of Django's e-mail backends: SMTP, and every provider of django-anymail."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from smtplib import SMTP
from typing import Any

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, Refused, SendOutcome

from . import email_outcomes as outcomes
from .email_message import FrozenEmail, email_of
from .mail_safety import header_fault

IDLE_SECONDS = 10.0
"""A connection that has been idle for longer is not used again: its server may be about to close it."""

logger = logging.getLogger(__name__)


class EmailChannel:
    """Sends a delivery's frozen payload. One instance a thread, which keeps its connection while it has work.

    `timeout`, in seconds, bounds each operation of a backend that knows one. `options` are the backend's own.
    """

    def __init__(self, *, backend: str, timeout: float = 10.0, options: Mapping[str, Any] | None = None) -> None:
        self._name = backend
        self._backend: BaseEmailBackend = get_connection(backend, **{"timeout": timeout, **(options or {})})
        self._used_at = 0.0
        self._is_open = False

    def __repr__(self) -> str:
        return f"EmailChannel(backend={self._name!r})"

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it."""
        if fault := header_fault(delivery.payload):
            return Refused(fault)
        try:
            email = email_of(delivery, self._backend)
            email.message()
        except KeyError as missing:
            return Refused(f"the payload has no {missing}")
        except ValueError as error:  # a line break in a header, an address that is none
            return Refused(outcomes.words_of(error))
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.rest()
        was_open = self._is_open
        outcome, may_repeat = self._send(email)
        if may_repeat and was_open:
            # The server has closed the connection since the last message, or takes no more on it.
            outcome, _ = self._send(email)
        return outcome

    def rest(self) -> None:
        """Close the connection; the next message opens another one."""
        self._is_open = False
        with suppress(Exception):  # it may be broken, and there is nothing left to say on it
            self._backend.close()

    def _send(self, email: FrozenEmail) -> tuple[SendOutcome, bool]:
        """Return the outcome, and whether a new connection might do better."""
        try:
            self._backend.open()
        except Exception as failure:
            self.rest()
            return outcomes.of_opening(failure), False
        self._is_open = True
        progress = _Progress(self._backend)
        try:
            count = self._backend.send_messages([email])
        except Exception as failure:
            outcome = outcomes.of_failure(failure, content_began=progress.content_began)
            if not outcomes.keeps_connection(failure):
                self.rest()
            return outcome, not progress.content_began and outcomes.is_old_connection(failure)
        finally:
            progress.end()
        self._used_at = time.monotonic()
        # Many a backend returns None where Django asks for a number; one that has failed has raised.
        return (Refused("the backend has sent nothing") if count == 0 else Accepted(_provider_id(email))), False


class _Progress:
    """How far an SMTP dialogue has come: what fails before the content of a message has certainly sent none."""

    def __init__(self, backend: BaseEmailBackend) -> None:
        self.content_began = True  # of other backends nobody can say
        connection = getattr(backend, "connection", None)
        self._connection = connection if isinstance(connection, SMTP) else None
        if self._connection is not None:
            self.content_began = False
            self._connection.data = self._data  # type: ignore[assignment,method-assign]  # the instance's own, until `end`

    def _data(self, message: Any) -> Any:
        assert self._connection is not None  # noqa: S101 - it is what calls this
        self.content_began = True
        return SMTP.data(self._connection, message)

    def end(self) -> None:
        if self._connection is not None:
            del self._connection.data


def _provider_id(email: FrozenEmail) -> str:
    """Return the id that a provider of django-anymail has given, or the message's own."""
    status = getattr(email, "anymail_status", None)
    return str(getattr(status, "message_id", None) or email.extra_headers["Message-ID"])
