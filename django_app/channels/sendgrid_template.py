"""Mail by SendGrid's dynamic templates: many digests of one template in one request, a personalization each.

The template is given subject, text, html, items and policy as its data, so `{{{subject}}}`, `{{{text}}}` and
`{{{html}}}` make it show what was rendered here; three brackets leave that as it is, since it is escaped already.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pgsupervise.django_app.addresses import split_address
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Forbidden, Paused, Refused, SendOutcome

from .mail_safety import header_fault
from .sendgrid import LARGEST_MESSAGE, NO_SUBSCRIPTION_TRACKING, TOO_LARGE, SendGridChannel, address_of
from .sendgrid_marks import custom_args

EVERY_OTHER = "*"
LARGEST_REQUEST = LARGEST_MESSAGE // 3
"""Bytes of all the messages of a request: the limit counts what SendGrid makes of them, too."""


class SendGridTemplateChannel(SendGridChannel):
    """Sends frozen payloads as the data of a template. `templates`: their ids by policy, "*" for every other one."""

    def __init__(self, *, templates: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._templates = templates

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it."""
        fault = header_fault(delivery.payload)
        return Refused(fault) if fault else self.send_group([delivery])

    def send_together(self, deliveries: Sequence[ClaimedDelivery]) -> Sequence[SendOutcome | None]:
        """Send messages by as few requests as there are templates and senders among them.

        A refusal is of a whole request, of which SendGrid has taken nothing then: each of its messages is to go by
        itself, so that it hits the one whose fault it is. Once SendGrid wants a rest no further request is made.
        """
        faults = {delivery.id: header_fault(delivery.payload) for delivery in deliveries}
        outcomes: dict[int, SendOutcome | None] = {id_: Refused(fault) for id_, fault in faults.items() if fault}
        paused: SendOutcome | None = None
        for group in self._groups([delivery for delivery in deliveries if delivery.id not in outcomes]):
            outcome = paused or self.send_group(group)
            paused = outcome if isinstance(outcome, Paused) else None
            is_shared = isinstance(outcome, Refused | Forbidden) and len(group) > 1
            outcomes.update((delivery.id, None if is_shared else outcome) for delivery in group)
        return [outcomes[delivery.id] for delivery in deliveries]

    def send_group(self, group: Sequence[ClaimedDelivery]) -> SendOutcome:
        """Send messages of one template and one sender by one request."""
        if len(group) == 1 and _size(group[0]) > LARGEST_MESSAGE:
            # SendGrid hangs up while a message of this size is being written, and its 413 is never seen.
            return Refused(TOO_LARGE)
        try:
            return self.post(self.request(group))
        except KeyError as missing:
            return Refused(f"the payload has no {missing}")

    def request(self, group: Sequence[ClaimedDelivery]) -> dict[str, Any]:
        """Return the request's body. Raises KeyError where a payload lacks something."""
        first = group[0]
        body = {
            "personalizations": [_personalization(delivery, self._installation) for delivery in group],
            "from": address_of(first.payload["from"]),
            "template_id": self._template(first),
        }
        if any("List-Unsubscribe" in delivery.payload.get("headers", {}) for delivery in group):
            body["tracking_settings"] = NO_SUBSCRIPTION_TRACKING
        return body

    def _template(self, delivery: ClaimedDelivery) -> str:
        return self._templates.get(delivery.policy) or self._templates.get(EVERY_OTHER, "")

    def _groups(self, deliveries: Sequence[ClaimedDelivery]) -> Iterator[list[ClaimedDelivery]]:
        """Yield what may go by one request: of one template and one sender, and not too large together."""
        groups: dict[tuple[str, str], list[ClaimedDelivery]] = {}
        sizes: dict[tuple[str, str], int] = {}
        for delivery in deliveries:
            key = self._template(delivery), str(delivery.payload.get("from"))
            size = _size(delivery)
            if key in groups and sizes[key] + size > LARGEST_REQUEST:
                yield groups.pop(key)
                sizes[key] = 0
            groups.setdefault(key, []).append(delivery)
            sizes[key] = sizes.get(key, 0) + size
        yield from groups.values()


def _size(delivery: ClaimedDelivery) -> int:
    """Return the bytes of a message's texts as JSON in ASCII, which is how they are sent."""
    return len(json.dumps([delivery.payload.get(part, "") for part in ("subject", "text", "html")]))


def _personalization(delivery: ClaimedDelivery, installation: str) -> dict[str, Any]:
    payload = delivery.payload
    personalization: dict[str, Any] = {
        "to": [{"email": split_address(payload["to"])[1]}],
        # Where the template has none: another recipient's must not stand in for it.
        "subject": payload["subject"],
        "custom_args": custom_args(delivery, installation),
        "dynamic_template_data": {
            "subject": payload["subject"],
            "text": payload["text"],
            "html": payload.get("html", ""),
            "items": payload.get("items", 0),
            "policy": delivery.policy,
        },
    }
    if payload.get("headers"):
        personalization["headers"] = payload["headers"]
    return personalization
