"""One batch's message: its address, its parts and its headers."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any

from pgsupervise.django_app.addresses import AddressError, checked_sender
from pgsupervise.django_app.policies import Policy
from pgsupervise.django_app.settings import read
from pgsupervise.django_app.texts import one_line, shorten
from pgsupervise.partitions.rows import DueBatch
from pgsupervise.supervisor.project import Part

from .bounds import storable
from .context import context_of
from .links import NO_LINKS, Links
from .readers import read_by
from .templates import rendered
from .threads import thread_headers


def message_of(policy: Policy, batch: DueBatch, parts: AbstractSet[Part], links: Links = NO_LINKS) -> dict[str, Any]:
    """Return what is sent of a batch: from, the parts, and headers where the policy's digests are threads.

    It is rendered for its recipient: in the recipient's language and time zone.
    """
    sender = _sender(str(read().from_email))
    message: dict[str, Any] = {"from": sender}
    with read_by(batch.person):
        context = context_of(batch, policy.retain) | {"threaded": policy.threaded} | links.as_context()
        for part in (part for part in Part if part in parts):
            text = rendered(policy, part, context)
            if text is not None:
                message[part.value] = text
    if policy.threaded:
        message["headers"] = thread_headers(batch, sender)
    return message


def addresses_of(policy: Policy, recipient: str, channels: Iterable[str]) -> dict[str, str]:
    """Return where each channel sends a recipient's digests. A function that several have in common is asked once.

    An address that is empty, or to which nothing can be sent, keeps nothing but its own message. Raises TypeError for
    one that is no text, and what the policy's functions raise.
    """
    by_channel = policy.address if isinstance(policy.address, Mapping) else dict.fromkeys(channels, policy.address)
    functions = {channel: by_channel.get(channel) for channel in channels}
    found = {function: _address(policy, recipient, function) for function in {*functions.values()}}
    return {channel: found[function] for channel, function in functions.items()}


def _address(policy: Policy, recipient: str, function: Callable[[str], str] | None) -> str:
    given: object = function(recipient) if function else recipient
    if not isinstance(given, str):
        raise TypeError(f"policy {policy.name!r}: the address of {recipient!r} is {shorten(given)}: it must be a str")
    return storable(given)


@lru_cache(16)
def _sender(given: str) -> str:
    try:
        return checked_sender(given)
    except AddressError:  # nothing starts with it, but a preview may be asked for
        return one_line(storable(given))
