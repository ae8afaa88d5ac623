"""Supervisors behind PgBouncer in transaction mode: every transaction on whichever server connection is free."""

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.django_app.embedded import Server
from pgsupervise.django_app.notifications import Notification, notify_many
from pgsupervise.django_app.tasks import cancel
from pgsupervise.partitions import leases
from pgsupervise.partitions.connection import connect, is_lost
from tests.database import django_uses
from tests.integration.world import owner_of
from tests.lifecycle.conftest import Start
from tests.lifecycle.pgbouncer import POOL_SIZE, PgBouncer, installed, running
from tests.lifecycle.supervising import Launch, Supervised, first_pid, owners, supervised
from tests.project.tasks import record, sleep_too_long
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
MOST_KILLS = 6  # beyond that a task may be the one that was running three times, which is its end
FINISHED = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'"
# What PgBouncer itself follows: a client's own values go before it wherever it is served.
FOLLOWED = ["application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings"]


@pytest.fixture
def bouncer(server: Server) -> Iterator[PgBouncer]:
    with running(installed(), server.socket_directory) as one:
        yield one


@pytest.fixture
def pooled(bouncer: PgBouncer, db: str) -> Iterator[str]:
    """Lead Django here, and what the test starts, through the pool."""
    through = bouncer.dsn(str(conninfo_to_dict(db)["dbname"]))
    with django_uses(through):
        yield through


@pytest.fixture
def start(watch: psycopg.Connection, pooled: str, tmp_path: Path, launch: Launch) -> Iterator[Start]:
    """Return a function that starts a supervisor behind the pool; `watch` looks past it."""
    with ExitStack() as stack:
        yield lambda *options, **how: stack.enter_context(supervised(pooled, tmp_path, *options, launch=launch, **how))


def count(watch: psycopg.Connection, query: str) -> int:
    row = watch.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def kill_now_and_then(supervisor: Supervised, watch: psycopg.Connection) -> set[int]:
    """SIGKILL some random workers, and wait until all tasks have ended; return the pids."""
    rand = random.Random(21)
    killed: set[int] = set()
    while count(watch, "SELECT count(*) FROM pgsupervise_task"):
        pids = sorted(supervisor.workers(watch).values())
        if len(pids) >= 2 and len(killed) < MOST_KILLS:
            victim = rand.choice(pids)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
        time.sleep(0.4)
    return killed


def test_tasks_and_digests_survive_killed_workers(
    start: Start, watch: psycopg.Connection, bouncer: PgBouncer, pooled: str
) -> None:
    record.enqueue_many((number, 0.005) for number in range(500))
    began = datetime(2020, 1, 1, tzinfo=UTC)
    notify_many(
        "hourly",
        (Notification(f"user{n % 60}@example.com", occurred_at=began + timedelta(minutes=n)) for n in range(300)),
    )
    events = Counter(id_ for (id_,) in watch.execute("SELECT id FROM pgsupervise_event"))
    supervisor = start()
    killed = kill_now_and_then(supervisor, watch)
    assert len(killed) >= 2
    assert count(watch, FINISHED) == 500
    runs: dict[int, list[int]] = {}
    for number, pid in watch.execute("SELECT number, pid FROM ledger ORDER BY number, began"):
        runs.setdefault(number, []).append(pid)
    assert set(runs) == set(range(500)), "every task has run"
    for number, pids in runs.items():
        assert set(pids[:-1]) <= killed, f"task {number} ran again although {pids} were not all killed"
    arrived = "SELECT jsonb_array_elements(item_ids)::bigint FROM pgsupervise_inboxmessage"
    wait_until(lambda: len(watch.execute(arrived).fetchall()) >= 300, 60, "the digests are in the inbox")
    assert Counter(id_ for (id_,) in watch.execute(arrived)) == events, "each event once"
    name = str(conninfo_to_dict(pooled)["dbname"])
    wait_until(lambda: bouncer.pool(name)["clients"] > POOL_SIZE, 60, "the last one that was killed has its successor")
    assert bouncer.pool(name)["servers"] <= POOL_SIZE, "the server's connections are shared"
    assert supervisor.stop() == 0
    told = re.findall(r".*level=(?:error|critical) .*", supervisor.log)
    assert [line for line in told if "reason=signal:SIGKILL" not in line] == []
    assert "database" not in "".join(re.findall(r".*level=warning .*", supervisor.log))


def test_two_supervisors_share_one_of_them_rolls_and_the_other_hands_over(
    start: Start, watch: psycopg.Connection
) -> None:
    one = start(partitions=2)
    wait_until(lambda: owners(watch) == {one.instance(): 256}, 60)
    other = start(partitions=2)
    wait_until(lambda: owners(watch) == {one.instance(): 128, other.instance(): 128}, 60)
    before = one.workers(watch)
    record.enqueue_many((number, 0.005) for number in range(400))
    one.signal(signal.SIGHUP)
    wait_until(lambda: one.log.count("reason=rolled lived_seconds") == 4, 90)
    wait_until(lambda: set(one.workers(watch)) == set(before), 60)
    assert not set(one.workers(watch).values()) & set(before.values())
    assert other.stop() == 0
    wait_until(lambda: owners(watch) == {one.instance(): 256}, 60)
    wait_until(lambda: count(watch, FINISHED) == 400, 60)
    assert count(watch, "SELECT count(*) FROM ledger") == 400, "nothing ran twice"
    assert one.stop() == 0
    assert re.findall(r".*level=(?:warning|error|critical) .*", one.log + other.log) == []


def test_a_task_is_stopped_in_its_query_by_its_soft_timeout_and_another_one_by_cancel(
    start: Start, watch: psycopg.Connection
) -> None:
    sleep_too_long.using(key="timed").enqueue(1)
    supervisor = start()
    state = "SELECT count(*) FROM pgsupervise_finishedtask WHERE state = "
    wait_until(lambda: count(watch, state + "'DEAD'") == 1, 60)
    (error,) = watch.execute("SELECT error FROM pgsupervise_finishedtask").fetchall()
    assert "SoftTimeoutError" in error[0]
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(3600)'"
    assert count(watch, asleep) == 0, "the statement was cancelled at the server"
    watch.execute("TRUNCATE ledger")
    number = record.enqueue(2, 3600)
    first_pid(watch)
    assert cancel(number)
    wait_until(lambda: count(watch, state + "'CANCELLED'") == 1, 60)
    assert supervisor.stop() == 0


def test_a_session_that_falls_silent_in_a_transaction_is_ended_and_no_setting_outlives_its_transaction(
    pooled: str, watch: psycopg.Connection
) -> None:
    parameters = conninfo_to_dict(pooled)
    stopped = connect(parameters, "stopped")
    owner, epochs = owner_of(stopped, 0)
    stopped.execute("BEGIN")
    assert leases.hold_lease(stopped, 0, owner, epochs[0])
    watch.execute("SET lock_timeout = '20s'")
    watch.execute("UPDATE pgsupervise_lease SET owner_id = NULL WHERE bucket = 0")  # waits for the end of that session
    with pytest.raises(psycopg.Error) as caught:
        stopped.execute("COMMIT")
    assert is_lost(caught.value), "a worker opens another connection and goes on"
    owner, epochs = owner_of(watch, 0)
    with ExitStack() as stack:
        sessions = [stack.enter_context(connect(parameters, f"session {n}")) for n in range(POOL_SIZE)]
        for session in sessions:
            session.execute("BEGIN")  # from here on it has a server connection of its own
        for session in sessions:
            assert leases.hold_lease(session, 0, owner, epochs[0])
            session.execute("COMMIT")
        for session in sessions:
            session.execute("BEGIN")
        served = {session.execute("SELECT pg_backend_pid()").fetchone() for session in sessions}
        assert len(served) == POOL_SIZE, "these are all that the pool has"
        for session in sessions:
            left = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> ALL (%s)"
            assert session.execute(left, [FOLLOWED]).fetchall() == []
