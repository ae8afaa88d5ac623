"""The plans of our statements, as a worker's session has them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from pgsupervise.partitions.statements import load

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def plan_of(
    connection: psycopg.Connection, name: str, values: Mapping[str, Any], *, analyze: bool = False
) -> dict[str, Any]:
    """Return the plan of a statement as sent_together and direct sessions have it; `analyze` it by running it."""
    names = list(dict.fromkeys(PLACEHOLDER.findall(load(name))))
    text = PLACEHOLDER.sub(lambda found: f"${names.index(found[1]) + 1}", load(name)).replace("%%", "%")
    connection.execute(load("plan_by_keys"), {"local": True})
    connection.execute(f"PREPARE planned AS {text}".encode())
    marks = ", ".join(["%s"] * len(names))
    explain = f"EXPLAIN (FORMAT JSON, ANALYZE {analyze}) EXECUTE planned ({marks})"
    row = psycopg.ClientCursor(connection).execute(explain, [values[parameter] for parameter in names]).fetchone()
    connection.execute("DEALLOCATE planned")
    assert row
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def rows_read(plan: dict[str, Any], table: str) -> float:
    """Return how many rows of a table were read by a plan that was analyzed, those that it threw away included."""
    scans = [n for n in nodes(plan) if n.get("Relation Name") == table and n["Node Type"] != "ModifyTable"]
    read = [(scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"] for scan in scans]
    return float(sum(read))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
