"""A delivery, and a channel to send it to the test server with."""

from typing import Any

from pgsupervise.django_app.channels.sendgrid import SendGridChannel
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import SendOutcome
from tests.sendgrid_server import Behaviour, SendGridServer

KEY = "SG.the-key-id.the-secret-part"


def channel(server: SendGridServer, timeout: float = 5.0) -> SendGridChannel:
    """Return a channel to the test server, patient unless told otherwise."""
    return SendGridChannel(api_key=KEY, host=server.url, timeout=timeout, installation="the-tests")


def delivery(payload: dict[str, Any] | None = None, *, attempt: int = 1, **more: Any) -> ClaimedDelivery:
    """Return a claimed delivery whose payload is complete but for what the arguments change."""
    content = {"to": "bob@example.com", "from": "News <news@example.com>", "subject": "3 changes", "text": "Three."}
    return ClaimedDelivery(
        id=41,
        bucket=7,
        claim_token=3,
        batch_id=5,
        policy="changes",
        recipient="bob",
        channel="email",
        payload={**content, "items": 3, "item_ids": [1, 2, 3], **(payload or {}), **more},
        attempt=attempt,
    )


def outcome(server: SendGridServer, behaviour: Behaviour, *, timeout: float = 5.0, text: str = "x") -> SendOutcome:
    """Send one delivery to a server that behaves as told."""
    server.script(behaviour)
    return channel(server, timeout).send(delivery(text=text))
