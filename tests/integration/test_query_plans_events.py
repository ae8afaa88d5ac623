"""The hot statements of the event path keep to their indexes, whatever the planner knows of the tables."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pgsupervise.partitions import arrays
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import ANCIENT
from tests.integration.plans import nodes, plan_of

OWNER = UUID(int=7)
RECIPIENT = "ada@example.com"
BUCKET = bucket_of(RECIPIENT)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LARGE = {
    "pgsupervise_event",
    "pgsupervise_batch",
    "pgsupervise_delivery",
    "pgsupervise_recipient",
    "pgsupervise_preference",
    "pgsupervise_tenantpreference",
}

# A bucket with a long history and a backlog, among others: half of all rows are one recipient's. Each tenth of the
# events that were folded was retracted since.
FILL = """
CREATE TEMPORARY TABLE whom ON COMMIT DROP AS
SELECT i, r AS recipient, get_byte(sha256(convert_to(r, 'UTF8')), 0) AS bucket
FROM generate_series(1, 20000) i,
    LATERAL (SELECT CASE WHEN i % 2 = 0 THEN %(recipient)s ELSE 'user' || i % 3000 END) v (r);
INSERT INTO pgsupervise_batch (id, bucket, policy, recipient, key, state, opened_at, closes_at, deliver_at, item_count,
    sealed_at)
SELECT i, bucket, 'p', recipient, i, CASE WHEN i % 10 < 8 THEN 'SEALED' ELSE 'OPEN' END, %(now)s, %(now)s,
    %(now)s::timestamptz + i % 50 * interval '1 minute', 2, CASE WHEN i % 10 < 8 THEN now() END
FROM whom;
INSERT INTO pgsupervise_event (id, bucket, policy, recipient, key, state, batch_id, occurred_at)
SELECT 20000 * n + i, bucket, 'p', recipient, i,
    CASE WHEN n = 2 THEN 'PENDING' WHEN i % 10 = 1 THEN 'RETRACTED' ELSE 'FOLDED' END,
    CASE WHEN n < 2 THEN i END, %(now)s::timestamptz + i * interval '1 second'
FROM whom, generate_series(0, 2) n;
INSERT INTO pgsupervise_delivery (id, bucket, batch_id, policy, recipient, channel, payload, state, claimed_by)
SELECT i, bucket, i, 'p', recipient, 'sendgrid', '{}',
    CASE WHEN i % 10 < 7 THEN 'ACCEPTED' WHEN i % 10 = 7 THEN CASE WHEN i % 20 = 7 THEN 'WAITING' ELSE 'RETRYING' END
        WHEN i % 10 = 8 THEN 'PENDING' ELSE 'SENDING' END,
    CASE WHEN i % 10 = 9 THEN %(owner)s::uuid END
FROM whom;
INSERT INTO pgsupervise_recipient (bucket, recipient, time_zone, updated_at)
SELECT DISTINCT bucket, recipient, 'Europe/Rome', now() FROM whom;
INSERT INTO pgsupervise_preference (bucket, recipient, tenant, policy, category, updated_at)
SELECT DISTINCT bucket, recipient, 't' || n, 'p', '', now() FROM whom, generate_series(1, 5) n;
INSERT INTO pgsupervise_tenantpreference (tenant, policy, category, updated_at)
SELECT 't' || n, 'p', '', now() FROM generate_series(1, 3000) n;
UPDATE pgsupervise_lease SET owner_id = %(owner)s, epoch = 1 WHERE bucket >= 0;
"""
STATISTICS = f"ANALYZE {', '.join(sorted(LARGE))}, pgsupervise_lease, pgsupervise_clock"

IDS = arrays.numbers(range(2, 402, 2))
VALUES: dict[str, Any] = {
    "bucket": BUCKET,
    "owner": OWNER,
    "epoch": 1,
    "policies": ["p"],
    "bare": ["p"],
    "own_left_out": ["p"],
    "reading": ["p"],
    "channels": ["sendgrid"],
    "safe": ["inbox", "null"],
    "unsafe": ["sendgrid"],
    "limit": 500,
    "after_time": ANCIENT,
    "after_id": 0,
    "after": 0,
    "clock": NOW,
    "ids": IDS,
    "batch_ids": IDS,
    "buckets": arrays.numbers(range(128)),
    "folded_times": arrays.times([ANCIENT] * 128),
    "sealed_times": arrays.times([ANCIENT] * 128),
    **dict.fromkeys(["folded_ids", "sealed_ids", "safe_ids", "unsafe_ids"], arrays.numbers([0] * 128)),
    "states": arrays.texts(["ACCEPTED"] * 200),
    **dict.fromkeys(["tokens", "unburnt", "copies"], arrays.numbers([0] * 200)),
    **dict.fromkeys(["provider_ids", "errors"], arrays.texts(["x"] * 200)),
    "delays": arrays.numbers([0] * 200),
    "closes_at": arrays.times([NOW] * 200),
    "deliver_at": arrays.times([NOW] * 200),
    "item_counts": arrays.numbers([2] * 200),
    "channels_of": arrays.texts(["sendgrid"] * 200),
    "payloads": arrays.texts(["{}"] * 200),
    "without_call": ["null"],
    "last_at": arrays.times([NOW] * 200),
    "slides_by": arrays.numbers([0] * 200),
    "slides_until": arrays.times_or_null([None] * 200),
    "not_before": arrays.times_or_null([None] * 200),
    "standbys": arrays.texts(["f"] * 200),
    "not_needed": "not needed",
    "reasons": arrays.texts(["own action"] * 200),
    "recipients": arrays.texts([RECIPIENT] * 200),
    "tenants": arrays.texts([""] * 200),
    "keys": IDS,
    "until": NOW,  # of what is postponed
    "held": [1, 2, 3],
    "before": NOW,
    "frequent_at": 34,
}
OTHERWISE: dict[tuple[str, str], Any] = {
    ("open_batches", "policies"): arrays.texts(["p"] * 200),
    ("last_of_keys", "policies"): arrays.texts(["p"] * 200),
    ("former_due", "policies"): arrays.texts(["p"] * 200),
    ("finish_deliveries", "until"): arrays.times([NOW] * 200),
    ("insert_deliveries", "channels"): arrays.texts(["sendgrid"] * 200),
}
INDEXES = {
    "pending_events": {"pgsupervise_event_pending"},
    "open_batches": {"pgsupervise_batch_one_open", "pgsupervise_event_gone"},
    "last_of_keys": {"pgsupervise_batch_recipient"},
    "former_due": {"pgsupervise_batch_closed"},
    "recipients": {"pgsupervise_recipient_one"},
    "preferences": {"pgsupervise_preference_one"},
    "tenant_preferences": {"pgsupervise_tenantpreference_one"},
    "update_batches": {"pgsupervise_batch_pkey"},
    "fold_events": {"pgsupervise_event_pkey"},
    "filter_events": {"pgsupervise_event_pkey"},
    "due_batches": {
        "pgsupervise_batch_due",
        "pgsupervise_event_batch",
        "pgsupervise_recipient_one",
        "pgsupervise_preference_one",
        "pgsupervise_tenantpreference_one",
    },
    "batch_items": {"pgsupervise_event_batch"},
    "seal_batches": {"pgsupervise_batch_pkey"},
    "insert_deliveries": {"pgsupervise_batch_pkey"},
    "postpone_batches": {"pgsupervise_batch_pkey"},
    "claim_deliveries": {
        "pgsupervise_delivery_due",
        "pgsupervise_delivery_ahead",
        "pgsupervise_delivery_in_turn",
        "pgsupervise_delivery_pkey",
        "pgsupervise_delivery_recip",
        "pgsupervise_preference_one",
        "pgsupervise_recipient_one",
        "pgsupervise_tenantpreference_one",
        "pgsupervise_event_read",
        "pgsupervise_suppression_one",
    },
    "promote_waiting_deliveries": {"pgsupervise_delivery_asleep", "pgsupervise_delivery_pkey"},
    "promote_retrying_deliveries": {"pgsupervise_delivery_asleep", "pgsupervise_delivery_pkey"},
    "recent_sends": {"pgsupervise_delivery_recip"},
    "finish_deliveries": {"pgsupervise_delivery_pkey"},
    "settle_standbys": {"pgsupervise_delivery_one_per_channel"},
    "left_standbys": {"pgsupervise_delivery_standby", "pgsupervise_delivery_one_per_channel"},
    "release_unheld_deliveries": {"pgsupervise_delivery_claimed"},
    "probe_notifications": {
        "pgsupervise_event_pending",
        "pgsupervise_batch_due",
        "pgsupervise_delivery_due",
        "pgsupervise_delivery_asleep",
    },
}
SORTS_WHAT_IT_HAS_LIMITED = {
    *("due_batches", "batch_items", "insert_deliveries", "probe_notifications", "settle_standbys", "left_standbys")
}
"""The others sort nothing: their order is that of the index."""


@pytest.fixture(scope="module")
def filled(dsn: str) -> Iterator[psycopg.Connection]:
    """Fill the tables inside a transaction that is never committed; its own statistics are seen by its own plans."""
    with psycopg.connect(dsn) as connection:
        client = psycopg.ClientCursor(connection)
        client.execute(FILL.replace("% ", "%% "), {"recipient": RECIPIENT, "now": NOW, "owner": OWNER})
        connection.execute(STATISTICS)
        yield connection
        connection.rollback()


@pytest.mark.parametrize("name", INDEXES)
def test_a_hot_statement_reads_by_its_indexes_alone(filled: psycopg.Connection, name: str) -> None:
    with filled.transaction(force_rollback=True):
        own = {parameter: value for (of, parameter), value in OTHERWISE.items() if of == name}
        found = list(nodes(plan_of(filled, name, VALUES | own)))
    # An UPDATE names its table too, without reading it.
    scans = [node for node in found if node.get("Relation Name") in LARGE and node["Node Type"] != "ModifyTable"]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert {node["Index Name"] for node in found if "Index Name" in node} - {"pgsupervise_lease_pkey"} == INDEXES[name]
    sorts = [node for node in found if "Sort" in node["Node Type"]]
    assert not sorts or name in SORTS_WHAT_IT_HAS_LIMITED


def test_the_last_batches_of_a_key_are_found_behind_any_history_of_others(filled: psycopg.Connection) -> None:
    with filled.transaction(force_rollback=True):
        own = {parameter: value for (of, parameter), value in OTHERWISE.items() if of == "last_of_keys"}
        found = list(nodes(plan_of(filled, "last_of_keys", VALUES | own)))
    (condition,) = [node["Index Cond"] for node in found if "Index Cond" in node]
    for column in ("bucket", "recipient", "policy", "tenant", "key"):
        assert f"{column} = " in condition.replace("(", "").replace(")::text", ""), condition
