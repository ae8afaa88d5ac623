"""The hot statements of the task path keep to their indexes, whatever the planner knows of the tables."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pgsupervise.partitions import arrays
from pgsupervise.partitions.tasks import START
from pgsupervise.partitions.wakeups import CHANNEL, LOCK_CLASS
from tests.integration.plans import nodes, plan_of

OWNER = UUID(int=7)
LARGE = {"pgsupervise_task", "pgsupervise_finishedtask"}
IDS = arrays.numbers(range(256, 256 * 400, 256))
BUCKETS = arrays.numbers(range(128))

# A backlog, a thousand claims and a schedule. The planner knows of the backlog alone: that is how a worker finds it.
FILL = """
INSERT INTO pgsupervise_task (bucket, name, args) SELECT n % 256, 't', '[]' FROM generate_series(1, 40000) n;
ANALYZE pgsupervise_task;
INSERT INTO pgsupervise_task (bucket, name, args, state, run_at)
SELECT n % 256, 't', '[]', 'SCHEDULED', now() + n * interval '1 second' FROM generate_series(1, 5000) n;
UPDATE pgsupervise_task SET state = 'IN PROGRESS', claimed_by = %(owner)s, claimed_at = now() WHERE id % 40 = 0;
UPDATE pgsupervise_lease SET owner_id = %(owner)s, epoch = 1 WHERE bucket >= 0;
"""
VALUES: dict[str, Any] = {
    "bucket": 0,
    "owner": OWNER,
    "epoch": 1,
    "names": ["t"],
    "limit": 500,
    "after_priority": 0,
    "after_id": START[1],
    "buckets": BUCKETS,
    "after_priorities": arrays.numbers([START[0]] * 128),
    "after_ids": arrays.numbers([START[1]] * 128),
    "ids": IDS,
    "tokens": IDS,
    "places": arrays.texts(["(0,1)"] * 400),
    "states": "{}",
    "crashes": "{}",
    "delays": [0.0] * 400,
    "errors": ["x"] * 400,
    "tracebacks": ["x"] * 400,
    "held": [1, 2, 3],
    "before": "2026-06-01 00:00:00+00",
    "channel": CHANNEL,
    "lock": LOCK_CLASS,
}
INDEXES = {
    "claim_tasks": {"pgsupervise_task_ready"},
    "probe_tasks": {"pgsupervise_task_ready", "pgsupervise_task_scheduled"},
    "next_due_task": {"pgsupervise_task_scheduled"},
    "promote_tasks": {"pgsupervise_task_scheduled", "pgsupervise_task_pkey"},
    "archive_tasks": set(),
    "delete_archived_tasks": set(),
    "lock_tasks": {"pgsupervise_task_pkey"},
    "retry_tasks": {"pgsupervise_task_pkey"},
    "give_back_tasks": {"pgsupervise_task_pkey"},
    "held_tasks": {"pgsupervise_task_pkey"},
    "release_unheld_tasks": {"pgsupervise_task_claimed", "pgsupervise_task_pkey"},
}


@pytest.fixture(scope="module")
def filled(dsn: str) -> Iterator[psycopg.Connection]:
    """Fill the tables inside a transaction that is never committed; its own statistics are seen by its own plans."""
    with psycopg.connect(dsn) as connection:
        psycopg.ClientCursor(connection).execute(FILL.replace("% ", "%% "), {"owner": OWNER})
        yield connection
        connection.rollback()


@pytest.mark.parametrize("name", INDEXES)
def test_a_hot_statement_reads_by_its_indexes_alone(filled: psycopg.Connection, name: str) -> None:
    with filled.transaction(force_rollback=True):
        found = list(nodes(plan_of(filled, name, VALUES)))
    scans = [node for node in found if node.get("Relation Name") in LARGE and node["Node Type"] != "ModifyTable"]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Tid Scan"}
    assert {node["Index Name"] for node in found if "Index Name" in node} - {"pgsupervise_lease_pkey"} == INDEXES[name]
    assert not [node for node in found if "Sort" in node["Node Type"]]
    # Not the whole of an index, nor all of a bucket in it: by the primary key each row is looked up.
    for node in scans:
        if node["Node Type"] == "Tid Scan":
            continue
        wanted = {"pgsupervise_task_pkey": "(id =", "pgsupervise_task_claimed": "(claimed_by ="}
        assert wanted.get(node["Index Name"], "(bucket =") in node["Index Cond"]
