"""Ways to reach a recipient, by name. A sender thread builds its own instance of each that it uses."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from pgsupervise.django_app.installation import installation_ids
from pgsupervise.django_app.settings import read
from pgsupervise.django_app.texts import check_text
from pgsupervise.supervisor.project import EVERYTHING, Channel, ChannelSpec, Part

from .inbox import InboxChannel
from .null import NullChannel

SENDGRID = "sendgrid"
MAIL_ADDRESS = "email"
"""The kind of address that mail goes to."""
MAX_NAME = 50


def _build_sendgrid() -> Channel:
    # A project that sends no mail need not load the package, which takes a while and some memory.
    from .sendgrid import SendGridChannel

    settings = read()
    return SendGridChannel(
        api_key=settings.sendgrid_api_key,
        host=settings.sendgrid_host,
        timeout=settings.sendgrid_timeout,
        installation=installation_ids()[0],
    )


_registry: dict[str, ChannelSpec] = {
    "inbox": ChannelSpec(build=InboxChannel, resend_is_safe=True),
    "null": ChannelSpec(build=NullChannel, takes=frozenset(), resend_is_safe=True, needs_call=False),
    SENDGRID: ChannelSpec(build=_build_sendgrid, tells_later=True, address_kind=MAIL_ADDRESS),
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
