"""The gauges say what is in the tables, and reading them is bounded however much that is."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import psycopg
import pytest
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.django_app.models import Batch, Clock, Delivery, Event, FinishedTask, Lease, Task, Worker
from pgsupervise.partitions import gauges
from pgsupervise.partitions.buckets import bucket_of, partition_of
from pgsupervise.partitions.connection import Connection, connect
from pgsupervise.partitions.gauges import Backlog
from pgsupervise.partitions.statements import all_names, load

HOUR = timedelta(hours=1)
Read = Callable[[Connection, int], list[Backlog]]


@pytest.fixture
def connection(db: str) -> Iterator[Connection]:
    with closing(connect(conninfo_to_dict(db), "gauges")) as opened:
        yield opened


def read(connection: Connection, gauge: Read, partitions: int = 1) -> list[Backlog]:
    with gauges.limited(connection, 30):
        return gauge(connection, partitions)


def only(connection: Connection, gauge: Read) -> Backlog:
    (backlog,) = read(connection, gauge)
    return backlog


def worker(supervisor: uuid.UUID, kind: str = "worker") -> Worker:
    now = timezone.now()
    return Worker.objects.create(
        id=uuid.uuid4(),
        supervisor=supervisor,
        kind=kind,
        slot=0,
        host="pod",
        pid=7,
        partitions=4,
        processes=4,
        state="ACTIVE",
        started_at=now,
        beat_at=now,
    )


def batch(recipient: str, deliver_in: timedelta, state: str = "OPEN", key: str = "") -> Batch:
    now = timezone.now()
    return Batch.objects.create(
        policy="comments",
        recipient=recipient,
        key=key,
        state=state,
        opened_at=now,
        closes_at=now,
        deliver_at=now + deliver_in,
        item_count=1,
        sealed_at=now if state == "SEALED" else None,
    )


def delivery(recipient: str, state: str, **columns: Any) -> Delivery:
    return Delivery.objects.create(
        policy="comments",
        recipient=recipient,
        batch_id=Delivery.objects.count() + 1,
        channel="email",
        payload={},
        state=state,
        **columns,
    )


@pytest.mark.parametrize("partitions", [1, 3, 8, 256])
def test_each_row_is_counted_in_its_partition(connection: Connection, partitions: int) -> None:
    keys = [f"recipient-{number}" for number in range(40)]
    for key in keys:
        Task.objects.create(name="mail", key=key)
        Event.objects.create(policy="comments", recipient=key)
        batch(key, HOUR)
        delivery(key, "PENDING")
    expected = [0] * partitions
    for key in keys:
        expected[partition_of(bucket_of(key), partitions)] += 1

    for gauge in (gauges.ready_tasks, gauges.pending_events, gauges.open_batches, gauges.pending_deliveries):
        assert [backlog.amount for backlog in read(connection, gauge, partitions)] == expected


def test_each_state_is_counted_by_its_own_gauge(connection: Connection) -> None:
    now = timezone.now()
    Task.objects.create(name="now")
    Task.objects.create(name="later", run_at=now + HOUR)
    Task.objects.create(name="runs", state="IN PROGRESS", claimed_by=uuid.uuid4(), claimed_at=now - HOUR)
    for number, state in enumerate(("DONE", "DEAD", "CANCELLED", "DEAD")):
        FinishedTask.objects.create(id=number, name="ended", state=state, finished_at=now)
    for recipient, state in (("a", "PENDING"), ("b", "ACCEPTED"), ("c", "UNKNOWN"), ("d", "REFUSED"), ("e", "UNKNOWN")):
        delivery(recipient, state)
    delivery("f", "SENDING", claimed_by=uuid.uuid4(), claimed_at=now)
    delivery("g", "WAITING", not_before=now + HOUR)
    delivery("h", "RETRYING", not_before=now + HOUR)
    batch("a", HOUR, "OPEN")
    batch("a", HOUR, "CLOSED", key="k")
    batch("a", -HOUR, "SEALED")

    assert only(connection, gauges.ready_tasks).amount == 1
    assert only(connection, gauges.scheduled_tasks) == Backlog(1, 0.0)
    in_progress = only(connection, gauges.in_progress_tasks)
    assert in_progress.amount == 1
    assert in_progress.age_seconds >= 3600
    assert gauges.dead_tasks(connection) == 2
    assert only(connection, gauges.pending_deliveries).amount == 1
    assert only(connection, gauges.waiting_deliveries) == Backlog(2, 0.0)
    assert only(connection, gauges.sending_deliveries).amount == 1
    assert only(connection, gauges.unknown_deliveries).amount == 2
    assert only(connection, gauges.open_batches).amount == 2
    assert only(connection, gauges.overdue_batches) == Backlog(0, 0.0)


@pytest.mark.parametrize("gauge", [gauges.ready_tasks, gauges.pending_events, gauges.overdue_batches])
def test_nothing_that_waits_has_no_age(connection: Connection, gauge: Read) -> None:
    assert read(connection, gauge, 3) == [Backlog(0, 0.0)] * 3


def test_the_oldest_ready_task_is_found_behind_a_younger_one_that_goes_first(connection: Connection) -> None:
    Task.objects.create(name="urgent", key="k", priority=-5)
    Task.objects.bulk_create(Task(name="middle", key="k") for _ in range(100))
    starving = Task.objects.create(name="starving", key="k", priority=9)
    Task.objects.filter(pk=starving.pk).update(run_at=timezone.now() - HOUR)
    assert only(connection, gauges.ready_tasks).age_seconds >= 3600


def test_an_imported_event_of_last_year_has_not_waited_for_a_year(connection: Connection) -> None:
    Event.objects.create(policy="comments", recipient="a", occurred_at=timezone.now() - timedelta(days=365))
    assert only(connection, gauges.pending_events).age_seconds < 3600


def test_batches_are_overdue_by_the_event_clock(connection: Connection) -> None:
    batch("a", 3 * HOUR)
    assert only(connection, gauges.overdue_batches).amount == 0
    Clock.objects.update(simulated_at=timezone.now() + 5 * HOUR)
    overdue = only(connection, gauges.overdue_batches)
    assert overdue.amount == 1
    assert 7200 <= overdue.age_seconds < 7300


@pytest.mark.parametrize(("state", "late"), [("WAITING", 3 * HOUR), ("RETRYING", 2 * HOUR)])
def test_what_waits_is_late_by_the_clock_that_it_waits_for(connection: Connection, state: str, late: timedelta) -> None:
    now = timezone.now()
    Clock.objects.update(simulated_at=now + HOUR)
    delivery("a", state, not_before=now - 2 * HOUR)
    age = only(connection, gauges.waiting_deliveries).age_seconds
    assert late.total_seconds() <= age < late.total_seconds() + 100


def test_counting_stops_at_the_cap(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    Task.objects.bulk_create(Task(name="mail", key=key) for key in ("a", "b") for _ in range(50))
    monkeypatch.setattr(gauges, "CAP", 10)
    assert only(connection, gauges.ready_tasks).amount == 20


def test_leases_are_ours_others_or_nobodys(connection: Connection) -> None:
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    Lease.objects.filter(bucket__range=(0, 99)).update(owner=worker(ours))
    Lease.objects.filter(bucket__range=(100, 149)).update(owner=worker(theirs))
    assert gauges.leases(connection, ours) == gauges.LeaseCounts(100, 50, 106, leads=False)
    Lease.objects.filter(bucket=-1).update(owner=worker(ours, kind="keeper"))
    assert gauges.leases(connection, ours).leads
    assert not gauges.leases(connection, theirs).leads


def test_the_oldest_transaction_is_shown_with_its_holder(connection: Connection, db: str) -> None:
    with psycopg.connect(db, application_name="report of pid 123456") as forgotten:
        forgotten.execute("CREATE TEMP TABLE held (id int)")
        Task.objects.create(name="another transaction")
        transaction = gauges.oldest_transaction(connection)
        xmin = gauges.oldest_xmin(connection)
    assert transaction is not None
    assert xmin is not None
    # A number as long as that may be another one next time; as a label it would never end.
    assert (transaction.name, xmin.name) == ("report of pid #", "report of pid #")
    assert transaction.age > 0
    assert xmin.age > 0


def test_reading_can_change_nothing(connection: Connection) -> None:
    connection.execute("SET enable_seqscan = on")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), gauges.limited(connection, 30):
        connection.execute("DELETE FROM pgsupervise_task")
    assert connection.execute("SHOW enable_seqscan").fetchone() == ("on",)


INDEXES = {
    "gauge_ready_tasks": "pgsupervise_task_ready",
    "gauge_scheduled_tasks": "pgsupervise_task_scheduled",
    "gauge_in_progress_tasks": "pgsupervise_task_claimed",
    "gauge_pending_events": "pgsupervise_event_pending",
    "gauge_open_batches": "pgsupervise_batch_due",
    "gauge_overdue_batches": "pgsupervise_batch_due",
    "gauge_pending_deliveries": "pgsupervise_delivery_due",
    "gauge_waiting_deliveries": "pgsupervise_delivery_asleep",
    "gauge_sending_deliveries": "pgsupervise_delivery_claimed",
    "gauge_unknown_deliveries": "pgsupervise_delivery_failed",
    "gauge_dead_tasks": "pgsupervise_finishedtask_*_id_idx",  # of each day
}
SMALL = {
    "gauge_leases",
    "gauge_workers",
    "gauge_limits",
    "gauge_oldest_transaction",
    "gauge_oldest_xmin",
    "gauge_paused_channels",
}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def test_every_statement_about_a_large_table_is_known_to_this_test() -> None:
    assert {name for name in all_names() if name.startswith("gauge_")} == set(INDEXES) | SMALL


def fill(connection: Connection, rows: int) -> None:
    """Put rows into the tables without telling the planner: its statistics still say that they are empty."""
    connection.execute(
        "INSERT INTO pgsupervise_task (name, bucket, state)"
        " SELECT 'mail', mod(n, 256), 'READY' FROM generate_series(1, %s) n",
        [rows],
    )
    connection.execute(
        "INSERT INTO pgsupervise_delivery (bucket, policy, recipient, batch_id, channel, payload, state)"
        " SELECT %s, 'p', 'r', n, 'email', '{}', 'ACCEPTED' FROM generate_series(1, %s) n",
        [bucket_of("r"), rows],
    )


@pytest.mark.parametrize("statement", INDEXES)
@pytest.mark.parametrize("rows", [0, 5000])
def test_a_statement_keeps_to_its_index_whatever_the_statistics_say(
    connection: Connection, statement: str, rows: int
) -> None:
    fill(connection, rows)
    with gauges.limited(connection, 30):
        explained = connection.execute("EXPLAIN (FORMAT JSON) " + load(statement), {"cap": 100}).fetchone()
    assert explained is not None
    small = {None, "pgsupervise_lease", "pgsupervise_clock"}
    scans = [node for node in nodes(explained[0][0]["Plan"]) if node.get("Relation Name") not in small]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    assert scans
    assert all(fnmatchcase(node["Index Name"], INDEXES[statement]) for node in scans)
