"""Whose turn it is among tenants is found by their own indexes, however long the others' queues are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pgsupervise.partitions import arrays
from tests.integration.plans import nodes, plan_of

OWNER = UUID(int=7)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BUCKET = 3
# Two thirds of each kind are of one tenant, some have none, and all others have one row each: half are sealed and sent.
FILL = """
CREATE TEMPORARY TABLE whom ON COMMIT DROP AS
SELECT i, 'user' || n AS recipient, CASE WHEN i % 3 > 0 THEN 'large' WHEN i % 7 = 0 THEN '' ELSE 't' || i END AS tenant
FROM generate_series(1, 20000) i, LATERAL (SELECT i % 3000) v (n);
ALTER TABLE pgsupervise_batch DROP CONSTRAINT pgsupervise_batch_bucket;
ALTER TABLE pgsupervise_delivery DROP CONSTRAINT pgsupervise_delivery_bucket;
INSERT INTO pgsupervise_batch (id, bucket, policy, recipient, tenant, key, state, opened_at, closes_at, deliver_at,
    item_count, sealed_at)
SELECT i, %(bucket)s, 'p', recipient, tenant, i, CASE i % 4 WHEN 0 THEN 'OPEN' WHEN 1 THEN 'CLOSED' ELSE 'SEALED' END,
    %(now)s, %(now)s, %(now)s, 1, CASE WHEN i % 4 > 1 THEN now() END
FROM whom;
INSERT INTO pgsupervise_delivery (id, bucket, batch_id, policy, recipient, tenant, channel, payload, state)
SELECT i, %(bucket)s, i, 'p', recipient, tenant, 'sendgrid', '{}',
    CASE WHEN i % 2 = 0 THEN 'PENDING' ELSE 'ACCEPTED' END
FROM whom;
UPDATE pgsupervise_lease SET owner_id = %(owner)s, epoch = 1 WHERE bucket >= 0;
"""
VALUES: dict[str, Any] = {
    "bucket": BUCKET,
    "owner": OWNER,
    "policies": ["p"],
    "clock": NOW,
    "after_time": NOW,
    "after_id": 50,
    "after": 50,
    "served": ["large"],
    "claimed": arrays.numbers(range(2, 34, 2)),
    "channels": ["sendgrid"],
    "last": "",
    "limit": 16,
}
INDEXES = {
    "tenants_waiting": {"pgsupervise_delivery_turn"},
    "deliveries_in_turn": {
        "pgsupervise_delivery_turn",
        "pgsupervise_delivery_due",
        "pgsupervise_delivery_pkey",
        "pgsupervise_delivery_ahead",
        "pgsupervise_delivery_in_turn",
    },
    "batches_in_turn": {
        "pgsupervise_batch_turn",
        "pgsupervise_batch_due",
        "pgsupervise_batch_one_open",
        "pgsupervise_batch_closed",
    },
}


@pytest.fixture(scope="module")
def filled(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn) as connection:
        for statement in FILL.split(";"):
            psycopg.ClientCursor(connection).execute(
                statement.replace("% ", "%% ").encode(), {"bucket": BUCKET, "owner": OWNER, "now": NOW}
            )
        connection.execute("ANALYZE pgsupervise_batch, pgsupervise_delivery, pgsupervise_lease")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("known", [True, False], ids=["analyzed", "never analyzed"])
def test_a_statement_of_turns_reads_by_its_indexes_alone(filled: psycopg.Connection, name: str, known: bool) -> None:
    with filled.transaction(force_rollback=True):
        if not known:
            filled.execute(
                "DELETE FROM pg_statistic WHERE starelid IN ('pgsupervise_batch'::regclass, "
                "'pgsupervise_delivery'::regclass)"
            )
        found = list(nodes(plan_of(filled, name, VALUES)))
    scans = [node for node in found if node.get("Relation Name") in ("pgsupervise_batch", "pgsupervise_delivery")]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    indexes = {node["Index Name"] for node in found if "Index Name" in node}
    assert {index for index in indexes if "lease" not in index and "clock" not in index} == INDEXES[name]
