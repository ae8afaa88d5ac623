"""The plans of our statements, as a worker's session has them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from pgsupervise.partitions.statements import load

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def plan_of(connection: psycopg.Connection, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan of a statement as sent_together and direct sessions have it."""
    names = list(dict.fromkeys(PLACEHOLDER.findall(load(name))))
    text = PLACEHOLDER.sub(lambda found: f"${names.index(found[1]) + 1}", load(name)).replace("%%", "%")
    connection.execute(load("plan_by_keys"), {"local": True})
    connection.execute(f"PREPARE planned AS {text}".encode())
    marks = ", ".join(["%s"] * len(names))
    explain = f"EXPLAIN (FORMAT JSON) EXECUTE planned ({marks})"
    row = psycopg.ClientCursor(connection).execute(explain, [values[parameter] for parameter in names]).fetchone()
    connection.execute("DEALLOCATE planned")
    assert row
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
