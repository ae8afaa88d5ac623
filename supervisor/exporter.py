"""The exporter: /metrics and the probes, in a process of its own so that no scrape can hurt a worker."""

import os
import socket
from collections.abc import Sequence

import psycopg

from pgsupervise.metrics.exposition import serve
from pgsupervise.metrics.tables import TableGauges
from pgsupervise.partitions.connection import Connection, connect

from .board import Board
from .context import ChildContext
from .exits import ExitCode
from .slots import Slot

LIVE_SECONDS = 10.0
"""The parent looks around every second: silent for this long, it hangs."""
WATCH_SECONDS = 1.0


class Exporter:
    """Serves what the files of all slots count, what the tables say, and three answers about health."""

    def __init__(self, context: ChildContext, listener: socket.socket, board: Board, slots: Sequence[Slot]) -> None:
        self._context = context
        self._listener = listener
        self._board = board
        self._slots = slots

    def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        context = self._context
        tables = TableGauges(self._connect, context.config.partitions, context.supervisor_id)
        probes = {"/livez": self.live, "/readyz": self.ready, "/startupz": self.started}
        exposition = serve(self._listener, read_gauges=tables.read, probes=probes)
        context.board.booted()
        while not context.draining.is_set():
            context.inbox.wait(WATCH_SECONDS)
            context.take_signals()
            if os.getppid() != context.parent_pid:
                context.drain()
        exposition.stop()
        tables.close()
        return ExitCode.OK

    def live(self) -> tuple[bool, str]:
        """Whether the parent's loop goes round. A database that is away is no reason to restart the pod."""
        silent = self._board.parent.silent_for()
        return silent < LIVE_SECONDS, f"supervisor looked around {silent:.1f} s ago"

    def started(self) -> tuple[bool, str]:
        """Whether every slot has booted once."""
        missing = [slot.name for slot in self._slots if not slot.board.has_booted]
        return not missing, f"not booted: {', '.join(missing)}" if missing else "all slots have booted"

    def ready(self) -> tuple[bool, str]:
        """Whether the workers beat and the database answers."""
        limit = self._context.config.fence_after.total_seconds()
        silent = [
            slot.name
            for slot in self._slots
            if slot.kind == "worker" and (not slot.board.has_booted or slot.board.silent_for() > limit)
        ]
        if silent:
            return False, f"no beat: {', '.join(silent)}"
        try:
            self._connect().close()
        except psycopg.Error as error:
            return False, f"the database does not answer: {type(error).__name__}"
        return True, "the workers beat and the database answers"

    def _connect(self) -> Connection:
        return connect(self._context.project.conninfo, self._context.name, patience_seconds=2)
