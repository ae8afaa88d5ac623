"""What a task and a digest cost: statements, bytes of WAL as PostgreSQL 18 counts them for each backend, and time.

On a server apart, since counting statements costs every other figure a little.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.cluster import LoopbackServer
from tests.bench.figures import Sample
from tests.bench.own.flushing import flushing
from tests.bench.own.place import Place
from tests.bench.own.profile import Profile
from tests.bench.own.samples import MakeSample, samples_of
from tests.bench.own.working import warmed, workers

sample = samples_of("writes")
TASKS = 50_000
DIGESTS, ITEMS = 5_000, 5
COUNTING = {"shared_preload_libraries": "pg_stat_statements", "shared_buffers": "256MB", "fsync": "off"}
FLUSH_SECONDS = 1.5
"""Backends report what they have counted at most once a second."""

# What is asked here is asked in another role, so that it is not counted with the rest.
_WATCH = """
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
DO $$ BEGIN CREATE ROLE watcher SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
SET ROLE watcher
"""
_STATEMENTS = """
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
WHERE userid <> 'watcher'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_WAL = """
SELECT coalesce(sum(wal.wal_bytes), 0) FROM pg_stat_activity, pg_stat_get_backend_wal(pid) AS wal
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(slots=True)
class Cost:
    """What all other sessions of the database have done since the last look."""

    connection: psycopg.Connection
    statements: float = 0.0
    wal: float = 0.0

    def spent(self) -> tuple[float, float]:
        """Return statements and bytes of WAL since the last call."""
        time.sleep(FLUSH_SECONDS)
        before = self.statements, self.wal
        self.statements, self.wal = self._number(_STATEMENTS), self._number(_WAL)
        return self.statements - before[0], self.wal - before[1]

    def samples(self, make: MakeSample, case: str, amount: int) -> Iterator[Sample]:
        """Yield what was spent on each of so many."""
        statements, wal = self.spent()
        yield make(case, "statements", statements / amount, "", more_is_better=False)
        yield make(case, "WAL", wal / amount, "bytes", more_is_better=False)

    def _number(self, query: str) -> float:
        row: tuple[Any, ...] | None = self.connection.execute(query).fetchone()
        return float(row[0]) if row else 0.0


def measure(place: Place) -> Iterator[Sample]:
    """Count over the drain of a backlog by two workers, then over folding and sending digests of five items."""
    place.bench.say("statements and WAL")
    with _counting(place) as apart:
        tasks, digests = place.amount(TASKS, 50), place.amount(DIGESTS, 10)
        with apart.database("own_writes") as dsn, workers(apart, dsn, 2) as two:
            warmed(two, apart)
            cost, profile = _watch(two.connection, two.supervised.pid)
            two.drain(tasks)
            yield from profile.samples(sample, "each task", tasks)
            yield from cost.samples(sample, "each task", tasks)
        with flushing(apart) as two_flushing:
            cost, profile = _watch(two_flushing.connection, two_flushing.supervisor)
            two_flushing.fold("lean", ITEMS * digests, digests)
            yield from profile.samples(sample, "each event folded", ITEMS * digests)
            yield from cost.samples(sample, "each event folded", ITEMS * digests)
            two_flushing.send(ITEMS * digests, digests)
            yield from profile.samples(sample, f"each digest of {ITEMS} sealed and sent", digests)
            yield from cost.samples(sample, f"each digest of {ITEMS} sealed and sent", digests)


def _watch(connection: psycopg.Connection, supervisor: int) -> tuple[Cost, Profile]:
    connection.execute(_WATCH)
    profile, cost = Profile(connection, supervisor), Cost(connection)
    cost.spent()
    return cost, profile


@contextmanager
def _counting(place: Place) -> Iterator[Place]:
    directory = Path(tempfile.mkdtemp(prefix="pgsupervise-bench-"))
    try:
        with LoopbackServer(directory, COUNTING) as server:
            server.hold()
            cluster = replace(place.bench.cluster, server=server)
            yield replace(place, bench=replace(place.bench, cluster=cluster))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
