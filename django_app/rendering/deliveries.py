"""What a batch becomes: a message for each channel, or an error that is told on the batch."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from django.db import DatabaseError, InterfaceError

from pgsupervise.django_app.channels import is_mail, takes
from pgsupervise.django_app.policies import Policy, registered
from pgsupervise.partitions.rows import DueBatch, NewDelivery
from pgsupervise.partitions.standbys import FALLBACKS
from pgsupervise.supervisor.project import EVERYTHING, Part

from .failures import raising_exceptions_only, reconnected
from .links import NO_LINKS, Links, links_of
from .mail import as_mail
from .message import addresses_of, message_of
from .templates import forget_templates


def render(batch: DueBatch, channels: Sequence[str] | None = None) -> list[NewDelivery]:
    """Return the batch's messages, one for each of the channels, or of the policy's own; none without items.

    Behind them are those of the policy's fallback channels, frozen like them and in reserve.

    A payload is JSON that PostgreSQL can hold: items (their number) and item_ids; and where the channel takes anything
    of a digest to, from, of subject, text and html (where there is a template for it) what it takes, and headers where
    the policy is threaded. By mail it has the headers to unsubscribe too, and where no mail can go to its address it
    says why. Raises PolicyError, TemplateDoesNotExist, RenderError, or whatever a template or the policy's `address`
    raises, but nothing that is no Exception.
    """
    try:
        with raising_exceptions_only():
            return _render(batch, channels)
    except Exception as error:
        # An error of the database is not mended by other templates, and in a transaction of the caller's would only be
        # hidden by what a second try says.
        if not (reconnected() if isinstance(error, DatabaseError | InterfaceError) else forget_templates()):
            raise
    with raising_exceptions_only():
        return _render(batch, channels)


def _render(batch: DueBatch, channels: Sequence[str] | None) -> list[NewDelivery]:
    if not batch.item_ids:
        return []
    policy = registered(batch.policy)
    bare: dict[str, Any] = {"items": len(batch.item_ids), "item_ids": list(batch.item_ids)}
    if policy.fallbacks:
        bare[FALLBACKS] = list(policy.fallbacks)
    chosen = policy.channels if channels is None else channels
    wanted = {name: takes(name) for name in (*chosen, *policy.fallbacks)}
    addresses = addresses_of(policy, batch.recipient, [name for name, taken in wanted.items() if taken])
    links = links_of(policy, batch) if any(map(is_mail, wanted)) else NO_LINKS
    # Once for all mail and once for all others: whoever sees a recipient's link has that recipient's page. What a
    # channel does not take is left out of its payload.
    messages = {
        for_mail: _message(policy, batch, [taken for name, taken in wanted.items() if is_mail(name) == for_mail], shown)
        for for_mail, shown in ((True, links), (False, NO_LINKS))
    }
    return [
        NewDelivery(
            name,
            bare | _for_channel(name, _taken(messages[is_mail(name)], taken, addresses[name]), links)
            if taken
            else bare,
            is_standby=name not in chosen,
        )
        for name, taken in wanted.items()
    ]


def _message(policy: Policy, batch: DueBatch, wanted: Iterable[AbstractSet[Part]], links: Links) -> dict[str, Any]:
    parts: frozenset[Part] = frozenset().union(*wanted)
    return message_of(policy, batch, parts, links) if parts else {}


def _taken(message: Mapping[str, Any], taken: AbstractSet[Part], address: str) -> dict[str, Any]:
    return {"to": address} | {word: value for word, value in message.items() if word not in EVERYTHING - taken}


def _for_channel(name: str, given: dict[str, Any], links: Links) -> dict[str, Any]:
    return as_mail(given, links) if is_mail(name) else given
