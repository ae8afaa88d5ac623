"""However many rows a table holds, a page of the admin reads a bounded part of an index."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgsupervise.django_app.admin import changelist
from pgsupervise.partitions.buckets import bucket_of

ADMIN = "/admin/pgsupervise/"
WORKER = UUID(int=1)

# The rare rows are the oldest, where a walk down the primary key would come last.
MANY = 30_000
FILL = """
INSERT INTO pgsupervise_task (bucket, name, key, state, claimed_by, claimed_at)
SELECT get_byte(sha256(convert_to('k' || i, 'UTF8')), 0), 'a', 'k' || i,
    CASE WHEN i <= 9 THEN 'IN PROGRESS' WHEN i <= 20 THEN 'READY' ELSE 'SCHEDULED' END,
    CASE WHEN i <= 9 THEN %(worker)s::uuid END, CASE WHEN i <= 9 THEN now() END
FROM generate_series(1, %(many)s) i;
INSERT INTO pgsupervise_finishedtask (id, bucket, name, state, finished_at)
SELECT i, i %% 256, 'a' || i %% 3, CASE WHEN i <= 9 THEN 'DEAD' WHEN i <= 20 THEN 'CANCELLED' ELSE 'DONE' END, now()
FROM generate_series(1, %(many)s) i;
INSERT INTO pgsupervise_batch (bucket, policy, recipient, state, opened_at, closes_at, deliver_at, item_count,
    sealed_at)
SELECT %(bucket)s, 'p', 'r', CASE WHEN i = 9 THEN 'OPEN' ELSE 'SEALED' END, now(), now(), now(), 1,
    CASE WHEN i <> 9 THEN now() END
FROM generate_series(1, %(many)s) i;
INSERT INTO pgsupervise_event (bucket, policy, recipient, state, batch_id)
SELECT %(bucket)s, 'p', 'r', CASE WHEN i <= 9 THEN 'PENDING' ELSE 'FOLDED' END, CASE WHEN i > 9 THEN i / 3 END
FROM generate_series(1, %(many)s) i;
INSERT INTO pgsupervise_delivery (bucket, policy, recipient, batch_id, channel, payload, state, claimed_by)
SELECT %(bucket)s, 'p', 'r', i, 'c', '{}',
    CASE WHEN i <= 9 THEN 'SENDING' WHEN i <= 20 THEN 'PENDING' WHEN i <= 30 THEN 'UNKNOWN' WHEN i <= 40 THEN 'WAITING'
        WHEN i <= 50 THEN 'RETRYING' ELSE 'ACCEPTED' END,
    CASE WHEN i <= 9 THEN %(worker)s::uuid END
FROM generate_series(1, %(many)s) i;
UPDATE pgsupervise_delivery SET duplicates = 1 WHERE id <= 9;
INSERT INTO pgsupervise_providerevent (bucket, event_id, kind, delivery_id, attempt, address, occurred_at)
SELECT %(bucket)s, i, CASE WHEN i = 9 THEN 'bounce' ELSE 'delivered' END, i, 1, 'r', now()
FROM generate_series(1, %(many)s) i;
INSERT INTO pgsupervise_fanout (bucket, name, policy, state, finished_at)
SELECT get_byte(sha256(convert_to('k' || i, 'UTF8')), 0), 'k' || i, 'p',
    CASE WHEN i <= 9 THEN 'RUNNING' ELSE 'DONE' END, CASE WHEN i > 9 THEN now() END
FROM generate_series(1, %(many)s) i;
INSERT INTO pgsupervise_subscription (bucket, recipient, object_type, object_id)
SELECT %(bucket)s, 'r', 'shop.page', i FROM generate_series(1, %(many)s) i;
ANALYZE pgsupervise_task, pgsupervise_finishedtask, pgsupervise_batch, pgsupervise_event, pgsupervise_delivery,
    pgsupervise_fanout, pgsupervise_subscription, pgsupervise_providerevent;
"""
LISTS = [
    *(f"{table}/{query}" for table in ("task", "finishedtask", "event", "batch", "delivery") for query in ("", "?p=9")),
    *(f"task/?state={state}" for state in ("READY", "SCHEDULED", "IN+PROGRESS", "READY&name=b")),
    *(f"finishedtask/?state={state}" for state in ("DEAD", "CANCELLED", "DONE", "DEAD&name=a1", "CANCELLED&name=a1")),
    *(f"delivery/?state={state}" for state in ("PENDING", "WAITING", "RETRYING", "SENDING", "ACCEPTED", "UNKNOWN")),
    *("delivery/?state=PENDING&policy=q", "delivery/?state=WAITING&policy=q"),
    *(f"{table}/?policy=q" for table in ("event", "batch", "delivery")),
    *("event/?state=PENDING", "event/?state=FOLDED", "batch/?state=WAITING", "batch/?state=SEALED"),
    *(f"task/?claimed_by={WORKER}", "event/?batch=77", "delivery/?batch=77", f"delivery/?claimed_by={WORKER}"),
    *("task/?name=b", "finishedtask/?name=a1", "finishedtask/?name=b", "finishedtask/?q=a1"),
    *("fanout/", "fanout/?state=RUNNING", "fanout/?state=DONE", "fanout/?policy=q", "fanout/?q=k7", "fanout/?q=no"),
    *("delivery/?duplicates=some", "delivery/?duplicates=some&policy=q", "delivery/?duplicates=some&state=UNKNOWN"),
    *("providerevent/", "providerevent/?p=9", "providerevent/?delivery=77", "providerevent/?kind=bounce"),
    *("providerevent/?q=77", "providerevent/?q=no"),
    *("subscription/", "subscription/?p=9", "subscription/?q=r", "subscription/?q=no"),
    *(f"{table}/?q={q}" for table in ("task", "event", "batch", "delivery") for q in ("5", "r", "k7", "no", WORKER)),
]


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Return every scan of a plan and the rows it read, those that it threw away included."""
    if "Relation Name" in plan:
        thrown_away = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        yield f"{plan['Node Type']} {plan['Relation Name']}", (plan["Actual Rows"] + thrown_away) * plan["Actual Loops"]
    for inner in plan.get("Plans", ()):
        yield from scans(inner)


def test_no_list_reads_a_table_however_rare_the_rows_are_that_fit(db: str) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"many": MANY, "worker": WORKER, "bucket": bucket_of("r")})
        for path in LISTS:
            with CaptureQueriesContext(connection) as queries:
                assert root.get(ADMIN + path).status_code == 200, path
            for sql in (query["sql"] for query in queries if 'FROM "pgsupervise_' in query["sql"]):
                assert "COUNT(" not in sql
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {sql}")
                for scan, read in scans(cursor.fetchone()[0][0]["Plan"]):
                    # A day that has no rows yet is read as it stands.
                    assert not scan.startswith("Seq Scan") or read == 0, (path, sql)
                    assert read <= changelist.WINDOW + 1, (path, scan, sql)
