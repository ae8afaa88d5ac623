"""The exporter's reading of the tables: complete, or short of just what could not be read."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.django_app.models import Task, Worker
from pgsupervise.metrics.tables import TableGauges
from pgsupervise.partitions.buckets import bucket_of, partition_of
from pgsupervise.partitions.connection import Connection, connect


@pytest.fixture
def connection(db: str) -> Iterator[Connection]:
    with closing(connect(conninfo_to_dict(db), "gauges")) as opened:
        yield opened


def table_gauges(dsn: str) -> TableGauges:
    return TableGauges(lambda: connect(conninfo_to_dict(dsn), "exporter"), 4, uuid.uuid4())


def samples(connection: Connection) -> dict[tuple[str, str], float]:
    return shown(TableGauges(lambda: connection, 4, uuid.uuid4()))


def shown(tables: TableGauges) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("state") or sample.labels.get("partition", "")): sample.value
        for metric in tables.read()
        for sample in metric.samples
    }


def test_all_gauges_are_read(connection: Connection) -> None:
    Task.objects.create(name="mail", key="k")
    found = samples(connection)
    assert found["pgsupervise_database_up", ""] == 1
    assert found["pgsupervise_table_reads_failed", ""] == 0
    assert found["pgsupervise_ready_tasks", str(partition_of(bucket_of("k"), 4))] == 1
    assert sum(1 for name, _ in found if name == "pgsupervise_ready_tasks") == 4


def test_a_table_that_cannot_be_read_in_time_costs_only_its_gauges(
    connection: Connection, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgsupervise.metrics.tables.READING_SECONDS", 0.5)
    with psycopg.connect(db) as migration:
        migration.execute("LOCK TABLE pgsupervise_task IN ACCESS EXCLUSIVE MODE")
        found = samples(connection)
    assert found["pgsupervise_database_up", ""] == 1
    assert found["pgsupervise_table_reads_failed", ""] >= 1
    assert found["pgsupervise_leases", ""] is not None
    assert ("pgsupervise_ready_tasks", "0") not in found
    monkeypatch.undo()
    assert samples(connection)["pgsupervise_table_reads_failed", ""] == 0


def test_a_connection_that_was_cut_is_replaced_within_the_same_reading(connection: Connection, db: str) -> None:
    tables = table_gauges(db)
    assert shown(tables)["pgsupervise_database_up", ""] == 1
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'pgsupervise exporter'"
    )
    assert shown(tables)["pgsupervise_database_up", ""] == 1
    tables.close()


def test_a_database_that_is_down_is_said_so_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> Connection:
        raise psycopg.OperationalError("connection refused")

    tables = TableGauges(refuse, 4, uuid.uuid4())
    for _ in range(3):
        assert shown(tables)["pgsupervise_database_up", ""] == 0
    assert caplog.text.count("cannot read the tables") == 1


def test_a_process_that_has_ended_is_not_expected_to_beat(connection: Connection) -> None:
    now = timezone.now()
    for state, silent_for in (("ACTIVE", 100), ("DEAD", 36000)):
        Worker.objects.create(
            id=uuid.uuid4(),
            supervisor=uuid.uuid4(),
            kind="worker",
            slot=0,
            host="pod",
            pid=7,
            partitions=4,
            processes=4,
            state=state,
            started_at=now,
            beat_at=now - timedelta(seconds=silent_for),
        )
    found = samples(connection)
    assert found["pgsupervise_processes", "active"] == 1
    assert found["pgsupervise_processes", "dead"] == 1
    assert 100 <= found["pgsupervise_oldest_beat_age_seconds", ""] < 3600
