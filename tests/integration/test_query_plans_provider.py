"""What is asked about providers' events and messages of unknown fate keeps to its indexes, however many there are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pgsupervise.partitions import arrays
from pgsupervise.partitions.provider_events import TELLING
from tests.integration.plans import nodes, plan_of

OWNER = UUID(int=7)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LARGE = {"pgsupervise_delivery", "pgsupervise_providerevent"}

# Thirty thousand accepted messages and what was told of them, and some of unknown fate whose grace has ended.
FILL = """
INSERT INTO pgsupervise_delivery (id, bucket, batch_id, policy, recipient, channel, payload, state, finished_at,
    unknown_until, error)
SELECT i, get_byte(sha256(convert_to('user' || i % 300, 'UTF8')), 0), i, 'p', 'user' || i % 300, 'sendgrid', '{}',
    CASE WHEN i % 100 = 0 THEN 'UNKNOWN' ELSE 'ACCEPTED' END, now(), CASE WHEN i % 200 = 0 THEN now() END, 'x'
FROM generate_series(1, 30000) i;
INSERT INTO pgsupervise_providerevent (id, bucket, event_id, kind, delivery_id, attempt, address, occurred_at,
    received_at, applied_at)
SELECT d.id, d.bucket, d.id, 'delivered', d.id, 1, d.recipient, now(), now() - d.id * interval '1 second',
    CASE WHEN d.id % 50 > 0 THEN now() END
FROM pgsupervise_delivery d WHERE d.state = 'ACCEPTED';
UPDATE pgsupervise_lease SET owner_id = %(owner)s, epoch = 1 WHERE bucket >= 0;
"""
VALUES: dict[str, Any] = {
    "bucket": 7,
    "owner": OWNER,
    "epoch": 1,
    "limit": 1000,
    "ids": arrays.numbers(range(1, 200)),
    "attempts": arrays.texts(["{1}"] * 199),
    "statuses": arrays.texts(["delivered"] * 199),
    "delivered_at": arrays.times([NOW] * 199),
    "order": list(TELLING),
    "told_until": NOW,
    "resend_policies": ["p"],
    "reconcile_policies": ["q"],
    "most_attempts": 12,
    "state": "PENDING",
    "error": "x",
    "buckets": arrays.numbers([7] * 199),
    "keep": 259_200,
}
INDEXES = {
    "probe_provider": {"pgsupervise_provider_new", "pgsupervise_delivery_grace"},
    "new_provider_events": {"pgsupervise_provider_new"},
    "prove_deliveries": {"pgsupervise_delivery_pkey"},
    "apply_provider_events": {"pgsupervise_providerevent_pkey"},
    "newest_provider_event": {"pgsupervise_provider_received"},
    "settle_unknown": {
        "pgsupervise_delivery_grace",
        "pgsupervise_provider_delivery",
        "pgsupervise_delivery_pkey",
    },
    "resolve_deliveries": {"pgsupervise_delivery_pkey", "pgsupervise_provider_delivery"},
    "delete_provider_events": {"pgsupervise_provider_received", "pgsupervise_providerevent_pkey"},
}

SORTS_A_HANDFUL = {"probe_provider", "prove_deliveries"}
"""Buckets, and the attempts of one delivery."""


@pytest.fixture(scope="module")
def filled(dsn: str) -> Iterator[psycopg.Connection]:
    """Fill the tables inside a transaction that is never committed; its own statistics are seen by its own plans."""
    with psycopg.connect(dsn) as connection:
        psycopg.ClientCursor(connection).execute(FILL.replace("% ", "%% "), {"owner": OWNER})
        connection.execute("ANALYZE pgsupervise_delivery, pgsupervise_providerevent, pgsupervise_lease")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("name", INDEXES)
def test_a_statement_reads_by_its_indexes_alone(filled: psycopg.Connection, name: str) -> None:
    with filled.transaction(force_rollback=True):
        found = list(nodes(plan_of(filled, name, VALUES)))
    scans = [node for node in found if node.get("Relation Name") in LARGE and node["Node Type"] != "ModifyTable"]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert {node["Index Name"] for node in found if "Index Name" in node} - {"pgsupervise_lease_pkey"} == INDEXES[name]
    sorts = [node for node in found if node["Node Type"] == "Sort"]
    assert not sorts or name in SORTS_A_HANDFUL
