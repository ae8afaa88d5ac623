"""A supervisor at work in a database, and drains of tasks that it is given."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from pgsupervise.supervisor.config import Config
from tests.bench.own import filling
from tests.bench.own.place import SETTINGS, Place
from tests.bench.own.tally import Runs, Tally, TallyError
from tests.lifecycle.supervising import Supervised, supervised
from tests.waiting import wait_until

LONG = 900.0
WARM = 2_000


class Workers:
    """The workers of one supervisor, warm: each owns its share and has learnt how long the task takes."""

    def __init__(self, supervised: Supervised, connection: psycopg.Connection, tally: Tally) -> None:
        self.supervised = supervised
        self.connection = connection
        self.tally = tally
        self._next = 1
        self._finished = self._finished_rows()

    def drain(self, tasks: int, buckets: int = 256) -> Runs:
        """Let so many tasks appear at once, wait until all are archived, and return their runs.

        Raises TallyError unless each ran exactly once.
        """
        numbers = range(self._next, self._next + tasks)
        self._next = numbers.stop
        self.tally.clear()
        filling.ready(self.connection, numbers, buckets)
        wait_until(lambda: self.tally.count() >= tasks, LONG, f"{tasks} tasks have run")
        wait_until(self.is_idle, LONG, "all are archived")
        runs = self.tally.read()
        runs.check(numbers)
        self._finished += tasks
        if (found := self._finished_rows()) != self._finished:
            raise TallyError(f"{found} tasks are finished, and {self._finished} should be")
        return runs

    def is_idle(self) -> bool:
        """Return whether no task is ready or in progress."""
        left = "SELECT FROM pgsupervise_task WHERE state <> 'SCHEDULED' LIMIT 1"
        return self.connection.execute(left).rowcount == 0

    def _finished_rows(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM pgsupervise_finishedtask WHERE state = 'DONE'").fetchone()
        return int(row[0]) if row else 0


@contextmanager
def workers(
    place: Place, dsn: str, count: int, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Workers]:
    """Run a supervisor with so many workers; it is yielded when each owns its share of the buckets."""
    folder = place.folder()
    tally = Tally(folder / "tally")
    poll = str(Config().poll.total_seconds())  # the tests' helper has another one
    variables = {**tally.environment, **(environment or {})}
    how = {"partitions": count, "settings": SETTINGS, "environment": variables}
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        supervised(dsn, folder, "--poll", poll, *options, **how) as running,
    ):
        running.logged("event=started")
        wait_until(lambda: _shares(connection) == (count, 256), 120, f"{count} workers own all buckets")
        yield Workers(running, connection, tally)


def warmed(workers: Workers, place: Place) -> Workers:
    """Run some tasks first, which count for nothing."""
    workers.drain(place.amount(WARM, 20))
    return workers


def _shares(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(
        "SELECT count(DISTINCT owner_id), count(owner_id) FROM pgsupervise_lease WHERE bucket >= 0"
    )
    owners, buckets = row.fetchone() or (0, 0)
    return int(owners), int(buckets)


def backends(connection: psycopg.Connection) -> list[int]:
    """Return the server's processes that serve the supervisor, on this machine as the server is."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    return [pid for (pid,) in rows]
