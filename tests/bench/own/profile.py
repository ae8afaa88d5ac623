"""Where the time of a task, an event and a digest goes: of workers and server, and in the costliest statements.

It explains the goals that a run has missed.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import psycopg

from pgsupervise.partitions.statements import all_names, load
from tests.bench.figures import Sample
from tests.bench.own.kernel import cpu_seconds
from tests.bench.own.samples import MakeSample
from tests.bench.own.working import backends
from tests.chaos.processes import living

MOST = 5
"""So many statements are named."""

_VALUES = re.compile(r"%\(\w+\)s|\$\d+|'[^']*'|\b(?:\d+|true|false|null)\b", re.IGNORECASE)
_TIMES = """
SELECT query, total_exec_time * 1000
FROM pg_stat_statements
WHERE userid <> 'watcher'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Profile:
    """What a supervisor and its server have spent since the last look; for a role that the statistics leave out."""

    def __init__(self, connection: psycopg.Connection, supervisor: int) -> None:
        self._connection = connection
        self._supervisor = supervisor
        self._cpu, self._times = self._spent(), self._statements()

    def samples(self, make: MakeSample, case: str, amount: int) -> Iterator[Sample]:
        """Yield what each of so many has cost, in microseconds."""
        cpu, times = self._cpu, self._times
        self._cpu, self._times = self._spent(), self._statements()
        for whose, earlier, later in zip(("the workers", "the server"), cpu, self._cpu, strict=True):
            yield make(case, f"CPU of {whose}", (later - earlier) / amount * 1e6, "us", more_is_better=False)
        for name, microseconds in (self._times - times).most_common(MOST):
            yield make(case, f"time in {name}", microseconds / amount, "us", more_is_better=False)

    def _statements(self) -> Counter[str]:
        times: Counter[str] = Counter()
        for query, microseconds in self._connection.execute(_TIMES).fetchall():
            times[name_of(query)] += microseconds
        return times

    def _spent(self) -> tuple[float, float]:
        workers = [process.pid for process in living(self._supervisor) if process.role.startswith("worker")]
        return cpu_seconds(workers), cpu_seconds(backends(self._connection))


def name_of(query: str) -> str:
    """Return the file of a statement as the server counts it, or how the query begins: it is another one's."""
    return _by_shape().get(_shape(query), " ".join(query.split())[:30])


@cache
def _by_shape() -> dict[str, str]:
    return {_shape(load(name)): f"{name}.sql" for name in all_names()}


def _shape(statement: str) -> str:
    """Return a statement without its comments, parameters and constants, for which the server writes parameters."""
    bare = re.sub(r"--.*", "", statement)
    return " ".join(_VALUES.sub("?", bare).split())
