"""What only mail has: an address that must be one, and headers by which a mail program offers to unsubscribe."""

from typing import Any

from pgsupervise.django_app.addresses import AddressError, checked_address
from pgsupervise.supervisor.suppressing import UNDELIVERABLE

from .links import Links


def as_mail(message: dict[str, Any], links: Links) -> dict[str, Any]:
    """Return a message as it is frozen for a channel that sends mail.

    One whose address cannot be one stays as it is and says why: it will be refused without a call, and stops nobody.
    """
    try:
        message = message | {"to": checked_address(message["to"])}
    except AddressError as error:
        return message | {UNDELIVERABLE: str(error)}
    headers = message.get("headers", {}) | links.headers()
    return message | {"headers": headers} if headers else message
