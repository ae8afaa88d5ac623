"""The statements of sealing and sending read what is wished by its indexes, and only what they are asked for."""

from typing import Any

import psycopg
import pytest

from pgsupervise.partitions import arrays
from tests.integration import test_query_plans_events as events
from tests.integration.plans import nodes, plan_of
from tests.integration.test_query_plans_events import LARGE, RECIPIENT, VALUES

filled = events.filled

WISHES = {
    "pgsupervise_recipient",
    "pgsupervise_preference",
    "pgsupervise_tenantpreference",
    "pgsupervise_suppression",
}
OF_WISHES = {"pgsupervise_recipient_one", "pgsupervise_preference_one", "pgsupervise_tenantpreference_one"}
FILL = """
INSERT INTO pgsupervise_preference (bucket, recipient, tenant, policy, updated_at)
SELECT DISTINCT bucket, recipient, '', 'p' || i %% 7, now() FROM whom
ON CONFLICT DO NOTHING;
INSERT INTO pgsupervise_recipient (bucket, recipient, updated_at) SELECT DISTINCT bucket, recipient, now() FROM whom
ON CONFLICT DO NOTHING;
INSERT INTO pgsupervise_tenantpreference (tenant, updated_at) SELECT 't' || i, now() FROM generate_series(1, 3000) i
ON CONFLICT DO NOTHING;
INSERT INTO pgsupervise_suppression (address, reason) SELECT DISTINCT recipient, 'bounce' FROM whom
ON CONFLICT DO NOTHING;
UPDATE pgsupervise_event SET read_at = now() WHERE state = 'FOLDED' AND batch_id %% 10 = 3
"""
STATISTICS = f"ANALYZE {', '.join(sorted(WISHES))}, pgsupervise_event"
INDEXES = {
    "due_batches": {"pgsupervise_batch_due", "pgsupervise_event_batch"} | OF_WISHES,
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
    "suppressions": {"pgsupervise_suppression_one"},
    "look_again": {"pgsupervise_batch_pkey", "pgsupervise_event_batch"},
    "past_digests": {"pgsupervise_delivery_recip"},
    "digests_before": {"pgsupervise_delivery_recip"},
    "insert_deliveries": {"pgsupervise_batch_pkey"},
    "seal_batches": {"pgsupervise_batch_pkey"},
    "withhold_events": {"pgsupervise_event_pkey"},
    "preferences": {"pgsupervise_preference_one"},
    "recipients": {"pgsupervise_recipient_one"},
    "tenant_preferences": {"pgsupervise_tenantpreference_one"},
    "probe_notifications": {
        "pgsupervise_event_pending",
        "pgsupervise_batch_due",
        "pgsupervise_delivery_due",
        "pgsupervise_delivery_asleep",
    },
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "insert_deliveries": {
        "channels": arrays.texts(["sendgrid"] * 200),
        "not_before": arrays.times_or_null([None] * 200),
    },
    "past_digests": {"policies": arrays.texts(["p"]), "recipients": arrays.texts([RECIPIENT])},
    "suppressions": {"kinds": arrays.texts(["email"] * 2), "addresses": arrays.texts([RECIPIENT, "x@example.com"])},
    "digests_before": {
        "policies": arrays.texts(["p"]),
        "recipients": arrays.texts([RECIPIENT]),
        "ids": arrays.numbers([19_000]),
    },
    "tenant_preferences": {"tenants": arrays.texts(["t7", "t8"])},
}
REASONS = {"reasons": arrays.texts(["muted"] * 200)}
SORTS_WHAT_IT_HAS_LIMITED = {"due_batches", "insert_deliveries", "probe_notifications"}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("stored", [False, True], ids=["nothing stored", "much stored"])
def test_a_statement_reads_by_its_indexes_alone(filled: psycopg.Connection, name: str, stored: bool) -> None:
    with filled.transaction(force_rollback=True):
        if stored:
            for statement in FILL.split(";"):
                filled.execute(statement.replace("%%", "%").encode())
            filled.execute(STATISTICS)
        found = list(nodes(plan_of(filled, name, VALUES | REASONS | OTHERWISE.get(name, {}))))
    read = [
        node for node in found if node.get("Relation Name") in LARGE | WISHES and node["Node Type"] != "ModifyTable"
    ]
    assert {node["Node Type"] for node in read} <= {"Index Scan", "Index Only Scan"}
    assert {node["Index Name"] for node in found if "Index Name" in node} - {"pgsupervise_lease_pkey"} == INDEXES[name]
    assert name in SORTS_WHAT_IT_HAS_LIMITED or not [node for node in found if "Sort" in node["Node Type"]]
