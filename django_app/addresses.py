"""E-mail addresses: checked without asking anybody, and written in the one way that every mail server reads."""

from email.utils import quote, unquote
from functools import lru_cache

import idna
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from .texts import check_text, shorten

MAX_ADDRESS = 320
SPECIALS = frozenset('()<>[]:;@\\,."')
"""Characters that a name has within quotes only (RFC 5322, 3.2.3)."""

_validate = EmailValidator()


class AddressError(ValueError):
    """No mail can go to this address; the message has the value and the reason."""


@lru_cache(4096)  # a recipient gets more than one digest
def checked_address(text: object) -> str:
    """Return the bare address of a text such as "Bob <bob@example.com>", its domain in ASCII and lower case.

    What a form's EmailField takes is taken here too, but for characters before the @ that are not ASCII, which
    SendGrid and Django's SMTP cannot send (no SMTPUTF8). Domains are encoded by IDNA 2008, as browsers do.

    Raises AddressError for everything else.
    """
    try:
        check_text(text, "address", MAX_ADDRESS, required=True)
    except (TypeError, ValueError) as error:
        raise AddressError(str(error)) from None
    address = split_address(str(text))[1]
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise AddressError(
            f"address {shorten(text)} has characters before the @ that are not ASCII: no mail goes there"
        )
    try:
        _validate(address)
        return f"{local}@{_ascii(domain)}"
    except ValidationError:
        raise AddressError(f"address {shorten(text)} is no e-mail address") from None
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError(f"address {shorten(text)} has a domain that cannot be: {error}") from None


def checked_sender(text: str) -> str:
    """Return a sender such as "Smith, Bob <bob@bücher.example>" as every mail class reads it.

    Raises AddressError for what is none.
    """
    address = checked_address(text)
    name = split_address(text)[0]
    if not name:
        return address
    return f'"{quote(name)}" <{address}>' if SPECIALS & set(name) else f"{name} <{address}>"


def split_address(text: str) -> tuple[str, str]:
    """Split "Name <a@b>" at its last bracket; `email.utils.parseaddr` makes "Smith, Bob <a@b>" a mail to "Smith"."""
    name, bracket, address = text.strip().rpartition("<")
    return (unquote(name.strip()), address.removesuffix(">").strip()) if bracket else ("", address)


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    # As browsers do: full-width letters and dots are letters and dots.
    return idna.encode(domain, uts46=True).decode().lower()
