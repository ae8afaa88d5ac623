"""A worker in the test's own process and transaction: it owns buckets by real leases and flushes them in turn."""

import uuid
from types import TracebackType
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from pgsupervise.partitions import deliveries, leases, workers
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.marks import Marks
from pgsupervise.supervisor.flushing import Flushing
from pgsupervise.supervisor.project import Project
from pgsupervise.supervisor.second_look import not_now
from pgsupervise.supervisor.senders import Job, Senders

from .bulk import has_failed
from .models import Worker
from .shared_connection import shared

KIND = "test"
"""Not "worker": it takes no share of the buckets, and no live worker gives any up for it."""
CHUNK = 1000
# Tests that empty all tables empty these two as well, whose rows the migrations have made.
ROWS = """
INSERT INTO pgsupervise_lease (bucket, epoch, changed_at) SELECT bucket, 0, now() FROM generate_series(-1, 255) bucket
WHERE NOT EXISTS (SELECT FROM pgsupervise_lease);
INSERT INTO pgsupervise_clock (id) VALUES (1) ON CONFLICT DO NOTHING
"""
BUSY = """
SELECT bucket FROM pgsupervise_event WHERE state = 'PENDING'
UNION SELECT bucket FROM pgsupervise_batch WHERE state <> 'SEALED'
UNION SELECT bucket FROM pgsupervise_delivery WHERE state IN ('PENDING', 'WAITING', 'RETRYING')
ORDER BY bucket
"""
LAST = "SELECT coalesce(max(id), 0) FROM pgsupervise_delivery"
NEW = "SELECT id FROM pgsupervise_delivery WHERE id > %s"
PATIENCE = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"


class TestWorker:
    """In a with statement it owns every bucket in which there is something to do; then it leaves no trace."""

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._django = connection
        self._connection: Connection = shared(connection)
        self._id: UUID = uuid.uuid4()
        self._patience = ""

    def __enter__(self) -> "TestWorker":
        self._rows(ROWS)
        self._patience = self._rows("SELECT current_setting('idle_in_transaction_session_timeout')", fetch=True)[0]
        buckets: list[int] = self._rows(BUSY, fetch=True)
        workers.register_worker(
            self._connection,
            id=self._id,
            supervisor=self._id,
            kind=KIND,
            slot=0,
            host="test",
            pid=1,
            partitions=1,
            processes=1,
            dead_after=3600,
        )
        self._epochs = leases.acquire_leases(self._connection, self._id, buckets) if buckets else {}
        if len(self._epochs) < len(buckets):
            self.__exit__(None, None, None)
            raise RuntimeError(
                "other workers own some of the buckets in which there is something to flush: stop the supervisors that "
                "serve the tests' database, or leave the flushing to them"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if has_failed(self._django):
            return  # and what there is of this worker goes with the transaction
        leases.release_leases(self._connection, self._id, list(self._epochs))
        Worker.objects.filter(id=self._id).delete()
        if self._django.in_atomic_block:
            # The fence of the writes bounds how long a transaction may rest, and this one is the whole test's.
            self._rows(PATIENCE, [self._patience])

    def flush(self, project: Project) -> set[int]:
        """Fold, seal and send; return the deliveries that this has made or sent."""
        last = self._rows(LAST, fetch=True)
        for bucket, epoch in sorted(self._epochs.items()):
            flushing = Flushing(project, self._connection, owner=self._id, bucket=bucket, epoch=epoch, marks=Marks())
            flushing.run(due=True, may_go_on=lambda: True)
        made: set[int] = set(self._rows(NEW, last, fetch=True))
        senders = Senders(project, 0, lambda: True)
        for bucket, epoch in sorted(self._epochs.items()):
            made |= self._send(project, senders, bucket, epoch)
        return made

    def _send(self, project: Project, senders: Senders, bucket: int, epoch: int) -> set[int]:
        sent: set[int] = set()
        claim = deliveries.DeliveryClaim(bucket, epoch, list(project.channels), CHUNK, ripe=True)
        while True:
            (claimed,) = deliveries.claim_deliveries(self._connection, self._id, [claim])
            if not claimed:
                return sent
            results: list[SentDelivery] = not_now(project, self._connection, bucket, claimed)
            withdrawn = {result.delivery.id for result in results}
            wanted = [delivery for delivery in claimed if delivery.id not in withdrawn]
            results += senders.send_here(Job(bucket, epoch, wanted))
            deliveries.finish_deliveries(self._connection, self._id, {(bucket, epoch): results})
            sent |= {delivery.id for delivery in claimed}

    def _rows(self, statement: str, parameters: list[Any] | None = None, *, fetch: bool = False) -> list[Any]:
        """Return the first column of a statement's rows, if they are asked for."""
        with self._django.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [row[0] for row in cursor.fetchall()] if fetch else []
