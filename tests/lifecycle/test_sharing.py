"""Several supervisors: fair shares, no overlap at any instant, and what a lost one had goes to the others."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest

from tests.lifecycle.conftest import Start
from tests.lifecycle.supervising import owners
from tests.project.tasks import record
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
LOOK = "SELECT bucket, owner_id, epoch FROM pgsupervise_lease WHERE bucket >= 0"


class Watcher:
    """Looks at the leases all the time: epochs must rise with every owner, and gaps are measured."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._last: dict[int, tuple[UUID | None, int]] = {}
        self._unowned_since: dict[int, float] = {}
        self.longest_gap = 0.0
        self.faults: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self.stop.wait(0.02):
                now = time.monotonic()
                for bucket, owner, epoch in connection.execute(LOOK):
                    self._judge(now, bucket, owner, epoch)

    def _judge(self, now: float, bucket: int, owner: UUID | None, epoch: int) -> None:
        before = self._last.get(bucket)
        if before and before[0] and owner and owner != before[0] and epoch <= before[1]:
            self.faults.append(f"bucket {bucket} went from {before} to {(owner, epoch)}")
        if owner is None and before and before[0]:
            self._unowned_since[bucket] = now
        elif owner and bucket in self._unowned_since:
            self.longest_gap = max(self.longest_gap, now - self._unowned_since.pop(bucket))
        self._last[bucket] = (owner, epoch)


@contextmanager
def watching(dsn: str) -> Iterator[Watcher]:
    """Watch the leases during a block."""
    watcher = Watcher(dsn)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop.set()
        thread.join()
    assert watcher.faults == []


def partitions_held(watch: psycopg.Connection, supervisor: str) -> int:
    row = watch.execute(
        "SELECT count(DISTINCT l.owner_id) FROM pgsupervise_lease l JOIN pgsupervise_worker w ON w.id = l.owner_id"
        " WHERE w.supervisor = %s AND l.bucket >= 0",
        [supervisor],
    ).fetchone()
    assert row
    return int(row[0])


def test_two_of_eight_share_four_and_four_and_the_survivor_takes_all(
    start: Start, watch: psycopg.Connection, db: str
) -> None:
    options = ("--beat", "1", "--dead-after", "5")
    with watching(db) as watcher:
        one = start(*options, partitions=8)
        wait_until(lambda: owners(watch) == {one.instance(): 256}, 60)
        other = start(*options, partitions=8)
        wait_until(lambda: owners(watch) == {one.instance(): 128, other.instance(): 128}, 60)
        assert (partitions_held(watch, one.instance()), partitions_held(watch, other.instance())) == (4, 4)
        record.enqueue_many((number, 3600) for number in range(40))
        wait_until(lambda: watch.execute("SELECT 1 FROM ledger").fetchone(), 60)
        other.kill_group()
        wait_until(lambda: owners(watch) == {one.instance(): 256}, 60)
        assert "event=reclaimed cause=silence" in one.log
    assert watcher.longest_gap < 15
    one.kill_group()


def test_eight_and_sixteen_partitions_side_by_side(start: Start, watch: psycopg.Connection, db: str) -> None:
    with watching(db) as watcher:
        eight = start(partitions=8)
        wait_until(lambda: owners(watch) == {eight.instance(): 256}, 60)
        sixteen = start("--processes", "4", partitions=16)
        wait_until(lambda: owners(watch) == {eight.instance(): 192, sixteen.instance(): 64}, 60)
        record.enqueue_many((number,) for number in range(300))
        count = "SELECT count(*) FROM pgsupervise_finishedtask"
        wait_until(lambda: watch.execute(count).fetchone() == (300,), 60)
        assert eight.stop() == 0
        wait_until(lambda: owners(watch) == {sixteen.instance(): 256}, 60)
        assert sixteen.stop() == 0
    assert watcher.longest_gap < 15
