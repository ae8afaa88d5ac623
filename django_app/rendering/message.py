"""One batch's message: its address, its parts and its headers."""

from collections.abc import Set as AbstractSet
from typing import Any

from pgsupervise.django_app.policies import Policy
from pgsupervise.django_app.settings import read
from pgsupervise.django_app.texts import check_text
from pgsupervise.partitions.rows import DueBatch
from pgsupervise.supervisor.project import Part

from .bounds import storable
from .context import context_of
from .readers import read_by
from .templates import rendered
from .threads import thread_headers

MAX_ADDRESS = 320


def message_of(policy: Policy, batch: DueBatch, parts: AbstractSet[Part]) -> dict[str, Any]:
    """Return what is sent of a batch: to, from, the parts, and headers where the policy's digests are threads.

    It is rendered for its recipient: in the recipient's language and time zone.
    """
    sender = storable(str(read().from_email))
    message: dict[str, Any] = {"to": _address(policy, batch.recipient), "from": sender}
    with read_by(batch.person):
        context = context_of(batch, policy.retain) | {"threaded": policy.threaded}
        for part in (part for part in Part if part in parts):
            text = rendered(policy, part, context)
            if text is not None:
                message[part.value] = text
    if policy.threaded:
        message["headers"] = thread_headers(batch, sender)
    return message


def _address(policy: Policy, recipient: str) -> str:
    address = policy.address(recipient) if policy.address else recipient
    check_text(address, f"policy {policy.name!r}: the address of {recipient!r}", MAX_ADDRESS, required=True)
    return address
