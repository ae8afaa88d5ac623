"""What recipients and tenants wish: read by the owner of a recipient's bucket, written by the Django side."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import arrays
from .connection import Connection
from .rows import Person, Preference
from .statements import load


def ask_for_persons(
    connection: Connection, bucket: int, recipients: Sequence[str], tenants: Sequence[str]
) -> Callable[[], Mapping[str, Person]]:
    """Ask who these recipients are without waiting for the answer: what is returned waits for it.

    It has those of whom anything is stored, and where the tenants prescribe something, everybody.
    """
    parameters = {"bucket": bucket, "recipients": arrays.texts(recipients)}
    people = connection.execute(load("recipients"), parameters)
    wishes = connection.execute(load("preferences"), parameters)
    defaults = connection.execute(load("tenant_preferences"), {"tenants": arrays.texts(tenants)}) if tenants else None

    def answer() -> Mapping[str, Person]:
        prescribed = tuple(_preference(row) for row in defaults) if defaults else ()
        wished: dict[str, list[Preference]] = defaultdict(list)
        for recipient, *row in wishes:
            wished[recipient].append(_preference(row))
        stored: dict[str, dict[str, Any]] = {
            recipient: {
                "time_zone": zone,
                "locale": locale,
                "quiet_from": quiet_from,
                "quiet_until": quiet_until,
                "properties": _loaded(properties) or {},
            }
            for recipient, zone, locale, quiet_from, quiet_until, properties in people
        }
        whom = recipients if prescribed else stored.keys() | wished.keys()
        return {
            recipient: Person(
                recipient=recipient,
                preferences=tuple(wished.get(recipient, ())),
                tenant_preferences=prescribed,
                **stored.get(recipient, {}),
            )
            for recipient in whom
        }

    return answer


def _preference(row: Sequence[Any]) -> Preference:
    tenant, policy, category, muted, channels, window = row
    return Preference(tenant, policy, category, muted, _loaded(channels), _loaded(window))


def _loaded(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):  # jsonb holds deeper nesting and longer numbers than Python reads
        return None
