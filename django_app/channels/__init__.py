"""Ways to reach a recipient, by name. A sender thread builds its own instance of each that it uses.

A project adds its own: a class with `send`, registered in an app's `notifications` module.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from pgsupervise.django_app.texts import check_text
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown
from pgsupervise.supervisor.project import EVERYTHING, Channel, ChannelSpec, GroupChannel, Part

from . import builders
from .endpoints import Endpoint
from .inbox import InboxChannel
from .null import NullChannel

__all__ = [
    "MAIL_ADDRESS",
    "Accepted",
    "Channel",
    "ChannelSpec",
    "ClaimedDelivery",
    "Endpoint",
    "GroupChannel",
    "NotSent",
    "Part",
    "Paused",
    "Refused",
    "SendOutcome",
    "Unknown",
    "is_mail",
    "known",
    "register",
    "takes",
]

SENDGRID, SENDGRID_TEMPLATE = "sendgrid", "sendgrid-template"
EMAIL, WEBHOOK, SLACK = "email", "webhook", "slack"
MAIL_ADDRESS = "email"
"""The kind of address that mail goes to."""
MAX_NAME = 50
TEXT_ALONE = frozenset({Part.SUBJECT, Part.TEXT})

_registry: dict[str, ChannelSpec] = {
    "inbox": ChannelSpec(build=InboxChannel, resend_is_safe=True),
    "null": ChannelSpec(build=NullChannel, takes=frozenset(), resend_is_safe=True, needs_call=False),
    SENDGRID: ChannelSpec(build=builders.sendgrid, tells_later=True, address_kind=MAIL_ADDRESS),
    SENDGRID_TEMPLATE: ChannelSpec(
        build=builders.sendgrid_template,
        tells_later=True,
        address_kind=MAIL_ADDRESS,
        together=builders.MOST_TOGETHER,
    ),
    EMAIL: ChannelSpec(build=builders.email, address_kind=MAIL_ADDRESS),
    WEBHOOK: ChannelSpec(build=builders.webhook, resend_is_safe=True),
    SLACK: ChannelSpec(build=builders.slack, takes=TEXT_ALONE),
}


def register(name: str, spec: ChannelSpec) -> None:
    """Make a channel of the project's own known. Raises ValueError when the name is taken."""
    check_text(name, "a channel's name", MAX_NAME, required=True)
    if name in _registry:
        raise ValueError(f"a channel is named {name!r} already: choose another name")
    _registry[name] = spec


def takes(name: str) -> AbstractSet[Part]:
    """Return what a channel wants of a digest; everything where there is no such channel."""
    return _registry[name].takes if name in _registry else EVERYTHING


def is_mail(name: str) -> bool:
    """Return whether a channel sends to e-mail addresses."""
    return name in _registry and _registry[name].address_kind == MAIL_ADDRESS


def known() -> Mapping[str, ChannelSpec]:
    """Return every channel by its name."""
    return dict(_registry)
