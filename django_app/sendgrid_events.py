"""What SendGrid's Event Webhook tells, as our own events: <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>.

Whatever is of another installation, of no use here (opens, clicks), or not as it should be is left out, so that one odd
event does not keep SendGrid from getting rid of the others.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from .channels.sendgrid_marks import marks_of
from .provider_events import ProviderEvent, ProviderKind
from .texts import one_line

LONGEST_EVENT_ID, LONGEST_ADDRESS, LONGEST_REASON, LONGEST_PROVIDER_ID = 100, 320, 1000, 200
EARLIEST, LATEST = 946_684_800, 4_102_444_800
"""2000 and 2100: whatever is not between is no time of an event."""
KINDS: dict[str, ProviderKind] = {kind.value: kind for kind in ProviderKind if kind != ProviderKind.BLOCKED}


class MalformedError(ValueError):
    """The body is no JSON array of events."""


def parse(body: bytes, installations: tuple[str, ...]) -> list[ProviderEvent]:
    """Return this installation's events, each once. Raises MalformedError for anything but a JSON array in UTF-8."""
    try:
        told = json.loads(body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedError(type(error).__name__) from None
    if not isinstance(told, list):
        raise MalformedError(type(told).__name__)
    found = (_event(one, installations) for one in told if isinstance(one, dict))
    return list({(event.bucket, event.event_id): event for event in found if event}.values())


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _event(told: Mapping[str, Any], installations: tuple[str, ...]) -> ProviderEvent | None:
    marks = marks_of(told, installations)
    event_id = told.get("sg_event_id")
    at = told.get("timestamp")
    kind = KINDS.get(told["event"]) if isinstance(told.get("event"), str) else None
    if marks is None or kind is None or not isinstance(event_id, str) or not 0 < len(event_id) <= LONGEST_EVENT_ID:
        return None
    if not isinstance(at, int) or not EARLIEST <= at <= LATEST or _text(event_id) != event_id:
        return None
    if kind is ProviderKind.BOUNCE and told.get("type") == "blocked":
        kind = ProviderKind.BLOCKED
    group = told.get("asm_group_id")
    return ProviderEvent(
        event_id=event_id,
        kind=kind,
        bucket=marks.bucket,
        delivery_id=marks.delivery_id,
        attempt=marks.attempt,
        address=_text(told.get("email"))[:LONGEST_ADDRESS],
        occurred_at=datetime.fromtimestamp(at, UTC),
        reason=_reason(told)[:LONGEST_REASON],
        provider_id=_text(told.get("sg_message_id"))[:LONGEST_PROVIDER_ID],
        group_id=group if isinstance(group, int) else None,
    )


def _reason(told: Mapping[str, Any]) -> str:
    """Return the words about a failure, behind their status where one is given ("5.1.1 no such user")."""
    words = _text(told.get("reason")) or _text(told.get("response"))
    status = _text(told.get("status"))
    return words if not status or status in words else f"{status} {words}".strip()


def _text(value: object) -> str:
    """Return a text of one line as PostgreSQL can hold it; an empty one for anything else."""
    return one_line(value[:10_000]) if isinstance(value, str) else ""
