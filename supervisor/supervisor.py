"""The parent: forks, watches, restarts, drains. It runs no task, opens no connection and starts no thread."""

import json
import logging
import os
import signal
import socket
import time
from collections import deque
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import Any
from uuid import UUID, uuid4

import setproctitle

from pgsupervise.metrics import recorder

from .board import Board
from .child import Serve, child_main, quiet_collector
from .config import Config
from .context import ChildContext
from .exits import ExitCode, describe
from .exporter import Exporter
from .keeper import Keeper
from .project import Project
from .signals import SignalInbox, blocked
from .slots import Slot, fork
from .worker import run_worker

logger = logging.getLogger(__name__)
TICK_SECONDS = 1.0
LAST_WORDS_SECONDS = 5.0
"""How long keeper and exporter may take to end."""
REMEMBER_DEATHS_SECONDS = 60.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)


class Supervisor:
    """One supervisor from its boot to its end; `listener` is the exporter's socket, bound already."""

    def __init__(self, config: Config, project: Project, listener: socket.socket) -> None:
        self.config = config
        self.project = project
        self.listener = listener
        self.id: UUID = uuid4()
        kinds = [("worker", number) for number in range(config.workers)] + [("keeper", 0), ("exporter", 0)]
        self.board = Board(len(kinds))
        self.slots = [Slot(kind, number, self.board.row(seat)) for seat, (kind, number) in enumerate(kinds)]
        self.inbox = SignalInbox(*_SIGNALS)
        self._rolling: deque[Slot] = deque()
        self._deaths: deque[tuple[float, dict[str, Any]]] = deque()
        self._keeper_pipe: Pipe | None = None
        self._stopping = False
        self._killed = False
        self._failure = ExitCode.OK

    def run(self) -> int:
        """Supervise until told to stop, then drain; return the exit code."""
        setproctitle.setproctitle(f"pgsupervise: supervisor of {self.config.workers} workers")
        quiet_collector()
        self.inbox.open()
        logger.info("started", extra={"fields": {"pid": os.getpid(), "instance": self.id, **self._shape()}})
        self.board.parent.beat(time.monotonic())
        self.start_due_slots()
        while not self._stopping:
            self.inbox.wait(self._seconds_to_next_start())
            self.board.parent.beat(time.monotonic())
            self.handle_signals()
            self.reap_exited()
            self.kill_overdue()
            self.roll_on()
            self.start_due_slots()
        return self.drain()

    def handle_signals(self) -> None:
        """Act upon what has been received since the last look."""
        for number in self.inbox.take():
            match number:
                case signal.SIGTERM | signal.SIGINT if self._stopping:
                    self._kill_all(("worker", "exporter"), "second signal")
                case signal.SIGTERM | signal.SIGINT:
                    logger.info("draining", extra={"fields": {"signal": number.name}})
                    self._stopping = True
                case signal.SIGHUP if not self._rolling:
                    logger.info("rolling restart")
                    self._rolling.extend(self.slots)
                case signal.SIGUSR2:
                    self._tell_state()
                case _:
                    pass  # SIGCHLD only wakes: the children are looked at in any case

    def start_due_slots(self) -> None:
        """Fork a child into each slot that is due for one."""
        for slot in self.slots:
            if not self._stopping and slot.is_due(time.monotonic()):
                self._start(slot)

    def reap_exited(self) -> None:
        """Collect children that ended: ours get a successor, adopted ones (as process 1) only their burial."""
        for slot in self.slots:
            if slot.process is not None and not slot.process.is_alive():
                self._ended(slot)
        _reap_adopted({slot.pid for slot in self.slots})

    def kill_overdue(self) -> None:
        """Kill a child that runs a task although it could not renew for the time-to-dead: others may run it now.

        And one that is being replaced and exceeds the drain timeout.
        """
        for slot in self.slots:
            silent = slot.board.silent_for()
            if slot.process and slot.board.running_task and silent > self.config.dead_after.total_seconds():
                self._kill(slot, "fenced")
            if slot.process and slot.drain_until is not None and time.monotonic() > slot.drain_until:
                self._kill(slot, "drain timeout")

    def roll_on(self) -> None:
        """Replace one slot's child after the other: the next one only when the last one's successor serves."""
        if not self._rolling or not all(slot.process and slot.board.has_booted for slot in self.slots):
            return
        slot = self._rolling.popleft()
        slot.killed_for = "rolled"
        slot.drain_until = time.monotonic() + self.config.drain_timeout.total_seconds()
        self._signal(slot, signal.SIGTERM)

    def drain(self) -> int:
        """Stop the workers, then keeper and exporter; kill what exceeds its time. Return the exit code.

        The keeper outlives the workers, so that the work of those that had to be killed is ready again for others.
        """
        stages = (
            (("worker",), self.config.drain_timeout.total_seconds()),
            (("keeper", "exporter"), LAST_WORDS_SECONDS),
        )
        for kinds, seconds in stages:
            for slot in self.slots:
                if slot.kind in kinds:
                    self._signal(slot, signal.SIGTERM)
            self._wait_for_end(kinds, time.monotonic() + seconds)
        logger.info("stopped", extra={"fields": {"killed": self._killed}})
        self.inbox.close()
        self.listener.close()
        return ExitCode.ERROR if self._killed and self._failure == ExitCode.OK else self._failure

    def _wait_for_end(self, kinds: tuple[str, ...], deadline: float) -> None:
        while any(slot.process for slot in self.slots if slot.kind in kinds):
            if time.monotonic() >= deadline:
                self._kill_all(kinds, "drain timeout")
                deadline = float("inf")
            self.inbox.wait(min(TICK_SECONDS, max(0.0, deadline - time.monotonic())))
            self.board.parent.beat(time.monotonic())
            self.handle_signals()
            self.reap_exited()

    def _start(self, slot: Slot) -> None:
        slot.board.clear()
        slot.killed_for, slot.drain_until = "", None
        serve: Serve = run_worker
        reader = None
        if slot.kind == "keeper":
            reader, serve = self._keeper()
        elif slot.kind == "exporter":
            serve = self._export
        main = partial(
            child_main,
            serve,
            config=self.config,
            project=self.project,
            supervisor_id=self.id,
            parent_pid=os.getpid(),
            kind=slot.kind,
            slot=slot.number,
            board=slot.board,
        )
        process = fork.Process(target=main, name=slot.name)
        with blocked(*_SIGNALS):
            process.start()
        if reader is not None:
            reader.close()
        slot.process, slot.started_at, slot.start_at = process, time.monotonic(), None
        logger.info("child started", extra={"fields": {"child": slot.name, "pid": process.pid}})

    def _keeper(self) -> tuple[Pipe, Serve]:
        if self._keeper_pipe is not None:
            self._keeper_pipe.close()
        reader, self._keeper_pipe = fork.Pipe(duplex=False)
        # What its predecessor may have taken with it to the grave is told again: burying twice changes nothing.
        for _, death in self._deaths:
            self._keeper_pipe.send_bytes(json.dumps(death).encode())
        return reader, lambda context: Keeper(context, reader).run()

    def _export(self, context: ChildContext) -> int:
        return Exporter(context, self.listener, self.board, self.slots).run()

    def _ended(self, slot: Slot) -> None:
        assert slot.process is not None  # noqa: S101 - the caller has looked
        slot.process.join()
        code = slot.process.exitcode or 0
        reason = slot.killed_for or describe(code)
        lived = time.monotonic() - slot.started_at
        fields: dict[str, Any] = {
            "child": slot.name,
            "pid": slot.pid,
            "reason": reason,
            "lived_seconds": f"{lived:.1f}",
        }
        slot.process.close()
        slot.process = None
        self._tell_keeper(slot, reason)
        if code == ExitCode.CANNOT_BOOT and not self._stopping:
            logger.critical("a child cannot boot: stopping, for a restart would not mend it", extra={"fields": fields})
            self._failure, self._stopping = ExitCode.CANNOT_BOOT, True
        if self._stopping:
            logger.info("child ended", extra={"fields": fields})
            return
        recorder.restarted(slot.kind, reason)
        fields["restart_in_seconds"] = f"{slot.schedule_restart(time.monotonic()):.1f}"
        logger.log(logging.INFO if code == 0 else logging.WARNING, "child ended", extra={"fields": fields})

    def _tell_keeper(self, slot: Slot, reason: str) -> None:
        """Tell of every end: a child that drained while the database was away could not take its leave either."""
        if slot.board.instance is None:
            return
        # A task whose worker the parent itself has killed is not the cause of that death.
        running = None if slot.killed_for else slot.board.running_task
        death = {"id": str(slot.board.instance), "reason": reason, "running_task": running}
        now = time.monotonic()
        while self._deaths and self._deaths[0][0] < now - REMEMBER_DEATHS_SECONDS:
            self._deaths.popleft()
        self._deaths.append((now, death))
        if self._keeper_pipe is not None:
            try:
                self._keeper_pipe.send_bytes(json.dumps(death).encode())
            except BrokenPipeError:
                return  # the keeper is dead too; its successor is told at its start

    def _kill_all(self, kinds: tuple[str, ...], reason: str) -> None:
        self._killed = True
        for slot in self.slots:
            if slot.process is not None and slot.kind in kinds:
                self._kill(slot, reason)

    def _kill(self, slot: Slot, reason: str) -> None:
        fields = {"child": slot.name, "pid": slot.pid, "reason": reason, "task": slot.board.running_task}
        logger.warning("killing", extra={"fields": fields})
        slot.killed_for = reason.replace(" ", "_")
        self._signal(slot, signal.SIGKILL)

    def _signal(self, slot: Slot, number: signal.Signals) -> None:
        # A child that has ended is a zombie until it is reaped here, so its pid cannot be anybody else's yet.
        if slot.process is not None and slot.process.is_alive():
            os.kill(slot.pid, number)

    def _seconds_to_next_start(self) -> float:
        waiting = [slot.start_at for slot in self.slots if slot.process is None and slot.start_at is not None]
        return max(0.0, min([TICK_SECONDS, *(at - time.monotonic() for at in waiting)]))

    def _shape(self) -> dict[str, int]:
        port = self.listener.getsockname()[1]
        return {"partitions": self.config.partitions, "workers": self.config.workers, "metrics_port": port}

    def _tell_state(self) -> None:
        for slot in self.slots:
            fields = {"child": slot.name, "pid": slot.pid, "booted": slot.board.has_booted}
            fields |= {"task": slot.board.running_task or 0, "silent_seconds": f"{slot.board.silent_for():.1f}"}
            logger.info("state", extra={"fields": fields})


def _reap_adopted(ours: set[int]) -> None:
    """As process 1 of a container we inherit orphans; `WNOWAIT` looks first, so that no child of ours is taken."""
    while True:
        try:
            status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if status is None or status.si_pid in ours:
            return
        os.waitpid(status.si_pid, 0)
