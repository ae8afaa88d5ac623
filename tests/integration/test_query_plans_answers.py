"""What callers and commands ask about single events finds its rows by an index, as Django's sessions plan it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.statements import load
from tests.integration.plans import nodes, plan_of

ADA = "ada@example.com"
BUCKET = bucket_of(ADA)
LARGE = {"pgsupervise_event", "pgsupervise_batch", "pgsupervise_delivery"}
FILL = """
CREATE TEMPORARY TABLE whom ON COMMIT DROP AS
SELECT i, r AS recipient, get_byte(sha256(convert_to(r, 'UTF8')), 0) AS bucket
FROM generate_series(1, 30000) i,
    LATERAL (SELECT CASE WHEN i %% 100 = 0 THEN %(ada)s ELSE 'user' || i %% 3000 END) v (r);
INSERT INTO pgsupervise_batch (id, bucket, policy, recipient, key, state, opened_at, closes_at, deliver_at, item_count,
    sealed_at)
SELECT i, bucket, 'p', recipient, i, CASE WHEN i %% 10 < 8 THEN 'SEALED' ELSE 'OPEN' END, now(), now(), now(), 2,
    CASE WHEN i %% 10 < 8 THEN now() END
FROM whom;
INSERT INTO pgsupervise_event (id, bucket, policy, recipient, key, state, reason, batch_id, about_type, about_id,
    idempotency_key)
SELECT 30000 * n + i, bucket, 'p', recipient, i,
    CASE WHEN n = 1 THEN 'PENDING' WHEN i %% 500 = 0 THEN 'FILTERED' ELSE 'FOLDED' END, 'read',
    CASE WHEN n = 0 THEN i END, CASE WHEN i %% 2 = 0 THEN 'docs.doc' ELSE '' END, i %% 1000, 30000 * n + i
FROM whom, generate_series(0, 1) n;
INSERT INTO pgsupervise_delivery (id, bucket, batch_id, policy, recipient, channel, payload, state)
SELECT i, bucket, i, 'p', recipient, 'inbox', '{}', CASE WHEN i %% 3 = 0 THEN 'WAITING' ELSE 'ACCEPTED' END FROM whom;
"""
VALUES: dict[str, Any] = {
    "id": 7,
    "bucket": BUCKET,
    "buckets": [BUCKET] * 10,
    "ids": list(range(100, 1100, 100)),
    "item_ids": list(range(100, 1100, 100)),
    "outs": [True] * 10,
    "recipient": ADA,
    "policy": "p",
    "idempotency_key": "100",
    "about_type": "docs.doc",
    "about_id": "100",
}
INDEXES = {
    "lock_event": {"pgsupervise_event_pkey"},
    "lock_event_by_key": {"pgsupervise_event_idempotency"},
    "event_of_key": {"pgsupervise_event_idempotency"},
    "lock_events_about": {"pgsupervise_event_about"},
    "lock_unread_events": {"pgsupervise_event_pkey"},
    "hold_batches": {"pgsupervise_batch_pkey"},
    "sent_batches": {"pgsupervise_delivery_one_per_channel"},
    "retract_events": {"pgsupervise_event_pkey"},
    "read_events": {"pgsupervise_event_pkey"},
    "unread_events": {
        "pgsupervise_event_pending",
        "pgsupervise_batch_one_open",
        "pgsupervise_batch_closed",
        "pgsupervise_delivery_ahead",
        "pgsupervise_delivery_in_turn",
        "pgsupervise_event_batch",
    },
}
OWNERS = {
    "held_events": {"pgsupervise_event_pkey"},
    "held_batches": {"pgsupervise_batch_pkey"},
    "sealed_as_rendered": {"pgsupervise_event_gone"},
    "changed_batches": {"pgsupervise_event_gone"},
}


@pytest.fixture(scope="module")
def filled(dsn: str) -> Iterator[psycopg.Connection]:
    """Fill the tables inside a transaction that is never committed; its own statistics are seen by its own plans."""
    with psycopg.connect(dsn) as connection:
        psycopg.ClientCursor(connection).execute(FILL, {"ada": ADA})
        connection.execute("ANALYZE pgsupervise_event, pgsupervise_batch, pgsupervise_delivery")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("name", OWNERS)
def test_an_owners_statement_finds_its_rows_by_its_index(filled: psycopg.Connection, name: str) -> None:
    with filled.transaction(force_rollback=True):
        assert_indexes(plan_of(filled, name, VALUES), OWNERS[name])


@pytest.mark.parametrize("name", INDEXES)
def test_a_callers_statement_finds_its_rows_by_its_index(filled: psycopg.Connection, name: str) -> None:
    explain = f"EXPLAIN (FORMAT JSON) {load(name)}"
    row = psycopg.ClientCursor(filled).execute(explain, VALUES).fetchone()
    assert row
    assert_indexes(row[0][0]["Plan"], INDEXES[name])


def assert_indexes(plan: dict[str, Any], names: set[str]) -> None:
    found = list(nodes(plan))
    scans = [node for node in found if node.get("Relation Name") in LARGE and node["Node Type"] != "ModifyTable"]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert {node["Index Name"] for node in found if "Index Name" in node} == names
