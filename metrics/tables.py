"""Gauges read from the tables: the state of the whole cluster, the same whichever supervisor is asked."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import psycopg
from prometheus_client import Metric

from pgsupervise.partitions import gauges
from pgsupervise.partitions.connection import Connection

from .table_metrics import (
    BACKLOGS,
    BacklogGauge,
    backlog_metrics,
    channel_metrics,
    dead_task_metrics,
    lease_metrics,
    scrape_metrics,
    transaction_metrics,
    worker_metrics,
    xmin_metrics,
)

log = logging.getLogger(__name__)

# All statements of a reading together: well within the ten seconds after which Prometheus gives a scrape up.
READING_SECONDS = 2.5

Read = Callable[[Connection], Sequence[Metric]]


class TableGauges:
    """Reads all gauges over one connection that it opens when it needs one. Used by one thread at a time."""

    def __init__(self, connect: Callable[[], Connection], partitions: int, supervisor: UUID) -> None:
        self._connect = connect
        self._reads = _reads(partitions, supervisor)
        self._connection: Connection | None = None
        self._was_up = True

    def read(self) -> list[Metric]:
        """Return the gauges. What cannot be read is left out; it is counted, and `pgsupervise_database_up` tells why.

        A connection that an earlier reading left may have died since, so a failure on it is tried again on a new one.
        """
        reused = self._connection is not None
        up, failed, found = self._read_all()
        if not up and reused:
            up, failed, found = self._read_all()
        return [*found, *scrape_metrics(up=up, failed=failed)]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read_all(self) -> tuple[bool, int, list[Metric]]:
        until = time.monotonic() + READING_SECONDS
        found: list[Metric] = []
        failed = 0
        for number, read in enumerate(self._reads):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                with gauges.limited(self._connection, until - time.monotonic()):
                    found += read(self._connection)
            except psycopg.Error as error:
                if self._connection is None or self._connection.closed:
                    self.close()
                    self._say(up=False, error=error)
                    return False, failed + len(self._reads) - number, found
                failed += 1
                log.debug("a gauge could not be read: %s", error)
        self._say(up=True)
        return True, failed, found

    def _say(self, *, up: bool, error: Exception | None = None) -> None:
        """Log the change, not each scrape."""
        if up != self._was_up:
            self._was_up = up
            if up:
                log.info("the exporter reads the tables again")
            else:
                log.warning("the exporter cannot read the tables: %s", error)


def _reads(partitions: int, supervisor: UUID) -> list[Read]:
    """Return what to read, the cheap and telling first: a backlog too long to count must not hide its cause."""
    return [
        lambda connection: lease_metrics(gauges.leases(connection, supervisor)),
        lambda connection: worker_metrics(gauges.workers(connection)),
        lambda connection: channel_metrics(gauges.paused_channels(connection)),
        lambda connection: transaction_metrics(gauges.oldest_transaction(connection)),
        lambda connection: xmin_metrics(gauges.oldest_xmin(connection)),
        lambda connection: dead_task_metrics(gauges.dead_tasks(connection)),
        *[partial(_read_backlog, backlog, partitions) for backlog in BACKLOGS],
    ]


def _read_backlog(backlog: BacklogGauge, partitions: int, connection: Connection) -> list[Metric]:
    return backlog_metrics(backlog, backlog.read(connection, partitions))
