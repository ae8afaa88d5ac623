"""Looks at the leases and the claims all the time, from outside: who owns what, and how long the dead hold claims."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.chaos.database import Row, Session
from tests.chaos.evidence import Violation

LOOK_SECONDS = 0.02
LEASES = "SELECT bucket, owner_id, epoch FROM pgsupervise_lease WHERE bucket >= 0 ORDER BY bucket"
HELD = "SELECT DISTINCT claimed_by FROM pgsupervise_task WHERE state = 'IN PROGRESS' AND claimed_by = ANY(%s)"


@dataclass(slots=True)
class Reclaim:
    """Claims of killed workers; `seconds` is how long it took until none of them was left."""

    workers: Sequence[UUID]
    member: str
    since: float
    whole: bool
    """Whether their whole supervisor was lost, so that only their silence tells."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a bucket had no owner."""

    bucket: int
    since: float
    seconds: float


class Watch:
    """A thread that looks; `with` runs it."""

    def __init__(self, dsn: str, dead_after: float) -> None:
        self.dead_after = dead_after
        self.violations: list[Violation] = []
        self.gaps: list[Gap] = []
        self.reclaims: list[Reclaim] = []
        self.looks = 0
        self._session = Session(dsn, "watch")
        self._rows: list[Row] = []
        self._owner: dict[int, tuple[UUID, int]] = {}
        self._unowned_since: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def reclaim_of(self, workers: Sequence[UUID], member: str, since: float, *, whole: bool) -> None:
        """Measure until the tasks of these workers are out of their hands."""
        if workers:
            self.reclaims.append(Reclaim(workers, member, since, whole))

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            now = time.monotonic()
            rows = self._session.ask(LEASES)
            if rows is not None and rows != self._rows:
                for bucket, owner, epoch in rows:
                    self._judge(now, bucket, owner, epoch)
                self._rows = rows
            self._look_for_reclaims()
            self.looks += 1
        self._session.close()

    def _judge(self, now: float, bucket: int, owner: UUID | None, epoch: int) -> None:
        if owner is None:
            self._unowned_since.setdefault(bucket, now)
            return
        if bucket in self._unowned_since:
            since = self._unowned_since.pop(bucket)
            if bucket in self._owner:  # before the first owner there was nobody to be missed
                self.gaps.append(Gap(bucket, since, now - since))
        before = self._owner.get(bucket)
        if before and (epoch < before[1] or (owner != before[0] and epoch <= before[1])):
            text = f"bucket {bucket} went from {before[0]} at {before[1]} to {owner} at {epoch}"
            self.violations.append(Violation("epoch", text))
        self._owner[bucket] = (owner, epoch)

    def _look_for_reclaims(self) -> None:
        waiting = [reclaim for reclaim in self.reclaims if reclaim.seconds is None]
        if not waiting:
            return
        rows = self._session.ask(HELD, [worker for reclaim in waiting for worker in reclaim.workers])
        if rows is None:
            return
        held, now = {worker for (worker,) in rows}, time.monotonic()
        for reclaim in waiting:
            if not held.intersection(reclaim.workers):
                reclaim.seconds = now - reclaim.since
