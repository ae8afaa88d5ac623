"""What an e-mail backend's exception says about a message.

| what happened                                                  | outcome    |
|----------------------------------------------------------------|------------|
| no connection, TLS or greeting, before a message               | `NotSent`  |
| authentication refused, a certificate or a setting is at fault | `Paused`   |
| the recipient or the content refused by 5xx                    | `Refused`  |
| the sender refused by 5xx, but for 552 (too large)             | `Paused`   |
| anything refused by 4xx                                        | `NotSent`  |
| the connection broke before the content                        | `NotSent`  |
| the connection broke, or fell silent, from the content on      | `Unknown`  |
| a provider's answer, through django-anymail                    | by status  |

A sender is the same for all messages, so its refusal is the account's fault and not a message's.
"""

import smtplib
import socket
import ssl
import sys
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from pgsupervise.django_app.texts import one_line
from pgsupervise.supervisor.outcomes import NotSent, Paused, Refused, SendOutcome, Unknown

from .answers import of_status

PAUSE = timedelta(seconds=60)
LONGEST_REASON = 1000
CLOSING, TOO_LARGE = 421, 552
_NO_CONNECTION = ("ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "NameResolutionError")
"""Of requests and urllib3, which django-anymail uses and we need not have."""


def of_opening(failure: Exception) -> SendOutcome:
    """Classify why no connection was opened: nothing of a message has gone out."""
    words = words_of(failure)
    match failure:
        case smtplib.SMTPAuthenticationError() | smtplib.SMTPNotSupportedError() | ssl.SSLCertVerificationError():
            return Paused(words, PAUSE)
        case smtplib.SMTPResponseException(smtp_code=code) if code >= 500:
            return Paused(words, PAUSE)
        case OSError():  # smtplib's own are among them
            return NotSent(words)
    return Paused(words, PAUSE)  # the backend's settings


def of_failure(failure: Exception, *, content_began: bool) -> SendOutcome:
    """Classify what was raised while a message was sent."""
    words = words_of(failure)
    match failure:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            codes = [code for code, _ in refused.values()]
            return Refused(words) if codes and min(codes) >= 500 else NotSent(words)
        case smtplib.SMTPSenderRefused(smtp_code=code):
            if code == TOO_LARGE:
                return Refused(words)
            return Paused(words, PAUSE) if code >= 500 else NotSent(words)
        case smtplib.SMTPAuthenticationError() | ImproperlyConfigured():
            return Paused(words, PAUSE)
        case smtplib.SMTPNotSupportedError():  # a letter in an address that this server does not take
            return Refused(words)
        case smtplib.SMTPResponseException(smtp_code=code):
            return Refused(words) if code >= 500 else NotSent(words)
    if (outcome := _of_anymail(failure, words)) is not None:
        return outcome
    return Unknown(words) if content_began and not _never_connected(failure) else NotSent(words)


def keeps_connection(failure: Exception) -> bool:
    """Return whether a server that has refused something goes on listening."""
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        return all(code != CLOSING for code, _ in failure.recipients.values())
    return isinstance(failure, smtplib.SMTPResponseException) and failure.smtp_code != CLOSING


def is_old_connection(failure: Exception) -> bool:
    """Return whether a failure is that of a connection which its server has closed, or closes now."""
    if isinstance(failure, smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException):
        return not keeps_connection(failure)
    return isinstance(failure, smtplib.SMTPServerDisconnected | ConnectionError)


def words_of(failure: BaseException) -> str:
    """Return a failure's words on one line."""
    match failure:
        case smtplib.SMTPRecipientsRefused(recipients=refused) if refused:
            code, said = next(iter(refused.values()))
            return one_line(f"{code} {_text(said)}")[:LONGEST_REASON]
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=said):
            return one_line(f"{code} {_text(said)}")[:LONGEST_REASON]
    return one_line(f"{type(failure).__name__}: {failure}")[:LONGEST_REASON]


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def _of_anymail(failure: Exception, words: str) -> SendOutcome | None:
    anymail: Any = sys.modules.get("anymail.exceptions")  # whose backend raises it has imported it
    if anymail is None or not isinstance(failure, anymail.AnymailError):
        return None
    if isinstance(failure, anymail.AnymailAPIError):
        if failure.status_code is not None:
            return of_status(failure.status_code, words, getattr(failure.response, "headers", {}))
        return NotSent(words) if _never_connected(failure) else Unknown(words)
    # Addresses, features and recipients that the provider does not take, and a signal's receiver that stops a message.
    return Refused(words)


def _never_connected(failure: BaseException) -> bool:
    """Return whether somewhere at its root a connection was refused, or a name or a certificate was wrong."""
    seen: set[int] = set()
    queue: list[Any] = [failure]
    while queue:
        cause = queue.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        if isinstance(cause, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError):
            return True
        if type(cause).__name__ in (
            "ConnectTimeout",
            "ConnectTimeoutError",
            "NewConnectionError",
            "NameResolutionError",
        ):
            return True
        queue += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return False
