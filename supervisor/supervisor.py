"""The parent: forks, watches, restarts, drains. It runs no task, opens no connection and starts no thread."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import Any
from uuid import UUID, uuid4

import setproctitle

from pgsupervise.metrics import recorder

from .adopted import reap_adopted
from .board import Board, BoardRow
from .channel_board import ChannelBoard
from .child import Closeable, Serve, child_main, quiet_collector
from .config import LAST_WORDS, Config
from .context import ChildContext
from .deaths import Deaths
from .exits import KILLED, ExitCode
from .exporter import Exporter
from .keeper import Keeper
from .memory import OUT_OF_MEMORY, OutOfMemory
from .orphans import Orphans
from .overdue import Overdue
from .project import Project
from .rolling import ROLLED, Rolling, new_wear
from .signals import SignalInbox, blocked
from .slots import Slot, fork
from .worker import run_worker

logger = logging.getLogger(__name__)
FAILED_BOOTS = 8
"""Where each worker's slot has had so many children in a row that never served, a restart will not help."""
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
        self.channels = ChannelBoard(project.channels)
        self.slots = [Slot(kind, number, self.board.row(seat)) for seat, (kind, number) in enumerate(kinds)]
        self.inbox = SignalInbox(*_SIGNALS)
        self.overdue = Overdue(config, self.slots, project.longest_send)
        self.rolling = Rolling(config, self.slots)
        self.out_of_memory = OutOfMemory()
        self.deaths = Deaths()
        self._tick = config.tick.total_seconds()
        self._stopping = False
        self._killed = False
        self._failure = ExitCode.OK

    def run(self) -> int:
        """Supervise until told to stop, then drain; return the exit code.

        A fault of the parent itself ends everything at once. Python's own way out would wait for the children, who
        would go on unsupervised.
        """
        try:
            return self._supervise()
        except BaseException:
            logger.critical("the supervisor itself failed: ending its children", exc_info=True)
            for slot in self.slots:
                self._signal(slot, signal.SIGKILL)
            logging.shutdown()
            os._exit(ExitCode.ERROR)

    def _supervise(self) -> int:
        setproctitle.setproctitle(f"pgsupervise: supervisor of {self.config.workers} workers")
        quiet_collector()
        self.inbox.open()
        logger.info("started", extra={"fields": {"pid": os.getpid(), "instance": self.id, **self._shape()}})
        self.board.parent.beat(time.monotonic())
        self.start_due_slots()
        while not self._stopping:
            self.inbox.wait(self._seconds_to_next_start())
            self.out_of_memory.look(time.monotonic())
            self.board.parent.beat(time.monotonic())
            self.handle_signals()
            self.reap_exited()
            self.kill_overdue()
            self.deaths.tell()
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
                case signal.SIGHUP if self.rolling.restart_all():
                    logger.info("rolling restart")
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
        reap_adopted({slot.pid for slot in self.slots})

    def kill_overdue(self) -> None:
        """Kill children that are silent, that do not drain in time, or whose running task must end."""
        for slot, reason in self.overdue.silent():
            self._kill(slot, reason)
        for slot in self.overdue.draining():
            self._kill(slot, "drain timeout")
        for slot, reason in self.overdue.kill_doomed():
            self._told_killed(slot, reason)

    def roll_on(self) -> None:
        """Replace one slot's child after the other."""
        found = self.rolling.next(time.monotonic())
        if found is None:
            return
        slot, reason = found
        if slot.process is None or slot.killed:
            return  # it is between two children anyway
        logger.info("replacing", extra={"fields": {"child": slot.name, "pid": slot.pid, "reason": reason}})
        slot.ended_for = reason
        # Recycling is no reason to cut a task off; a rolling restart is wanted now.
        patience = self.config.drain_timeout.total_seconds() if reason == ROLLED else float("inf")
        slot.drain_until = time.monotonic() + patience
        self._signal(slot, signal.SIGTERM)

    def drain(self) -> int:
        """Stop the workers, then keeper and exporter; kill what exceeds its time. Return the exit code.

        The keeper outlives the workers, so that the work of those that had to be killed is ready again for others.
        """
        stages = (
            (("worker",), self.config.drain_timeout.total_seconds()),
            (("keeper", "exporter"), LAST_WORDS.total_seconds()),
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
            self.inbox.wait(min(self._tick, max(0.0, deadline - time.monotonic())))
            self.board.parent.beat(time.monotonic())
            self.handle_signals()
            self.reap_exited()
            self.kill_overdue()
            self.deaths.tell()

    def _start(self, slot: Slot) -> None:
        slot.board.clear()
        slot.ended_for, slot.killed, slot.drain_until, slot.wear = "", False, None, new_wear()
        serve: Serve = run_worker
        reader: Pipe | None = None
        inherited: list[Closeable] = [self.listener]
        if slot.kind == "keeper":
            reader = self.deaths.new_pipe()
            serve = partial(_keep, deaths=reader, workers=[each.board for each in self.slots if each.kind == "worker"])
        elif slot.kind == "exporter":
            serve, inherited = self._export, []
        if self.deaths.pipe is not None:
            inherited.append(self.deaths.pipe)
        main = partial(child_main, serve, self._context_of(slot), inherited)
        process = fork.Process(target=main, name=slot.name)
        try:
            with blocked(*_SIGNALS):
                process.start()
        except OSError as error:  # out of processes or memory: others may end soon
            slot.started_at = time.monotonic()
            wait = slot.schedule_restart(slot.started_at)
            fields = {"child": slot.name, "error": error, "again_in_seconds": f"{wait:.1f}"}
            logger.error("cannot fork", extra={"fields": fields})
            return
        finally:
            if reader is not None:
                reader.close()
        slot.process, slot.started_at, slot.start_at = process, time.monotonic(), None
        logger.info("child started", extra={"fields": {"child": slot.name, "pid": process.pid}})

    def _context_of(self, slot: Slot) -> Callable[..., ChildContext]:
        return partial(
            ChildContext,
            config=self.config,
            project=self.project,
            supervisor_id=self.id,
            parent_pid=os.getpid(),
            kind=slot.kind,
            slot=slot.number,
            board=slot.board,
            common=self.board.parent,
            channels=self.channels,
            wake_parent=self.inbox.wake,
        )

    def _export(self, context: ChildContext) -> int:
        return Exporter(context, self.listener, self.board, self.slots).run()

    def _ended(self, slot: Slot) -> None:
        assert slot.process is not None  # noqa: S101 - the caller has looked
        slot.process.join()
        code = slot.process.exitcode or 0
        reason = slot.end_reason(code)
        if reason == KILLED and self.out_of_memory.has_killed(time.monotonic()):
            reason = OUT_OF_MEMORY
        lived = time.monotonic() - slot.started_at
        fields: dict[str, Any] = {
            "child": slot.name,
            "pid": slot.pid,
            "reason": reason,
            "lived_seconds": f"{lived:.1f}",
        }
        slot.process.close()
        slot.process = None
        self.deaths.record(slot, reason)
        if code == ExitCode.CANNOT_BOOT and not self._stopping:
            logger.critical("a child cannot boot: stopping, for a restart would not mend it", extra={"fields": fields})
            self._failure, self._stopping = ExitCode.CANNOT_BOOT, True
        if self._stopping:
            logger.info("child ended", extra={"fields": fields})
            return
        recorder.restarted(slot.kind, reason)
        fields["restart_in_seconds"] = f"{slot.schedule_restart(time.monotonic()):.1f}"
        logger.log(logging.INFO if code == 0 else logging.WARNING, "child ended", extra={"fields": fields})
        if all(slot.failed_boots >= FAILED_BOOTS for slot in self.slots if slot.kind == "worker"):
            logger.critical("no worker lives until it serves: giving up", extra={"fields": {"tries": FAILED_BOOTS}})
            self._failure, self._stopping = ExitCode.CRASH_LOOP, True

    def _kill_all(self, kinds: tuple[str, ...], reason: str) -> None:
        self._killed = True
        for slot in self.slots:
            if slot.process is not None and slot.kind in kinds:
                self._kill(slot, reason)

    def _kill(self, slot: Slot, reason: str) -> None:
        if not slot.killed:
            self._told_killed(slot, reason.replace(" ", "_"))
            self._signal(slot, signal.SIGKILL)

    def _told_killed(self, slot: Slot, reason: str) -> None:
        fields = {"child": slot.name, "pid": slot.pid, "reason": reason, "task": slot.board.running_task}
        logger.warning("killing", extra={"fields": fields})
        slot.ended_for, slot.killed = reason, True

    def _signal(self, slot: Slot, number: signal.Signals) -> None:
        # A child that has ended is a zombie until it is reaped here, so its pid cannot be anybody else's yet.
        if slot.process is not None and slot.process.is_alive():
            if number == signal.SIGTERM:
                slot.board.dismiss()
            os.kill(slot.pid, number)

    def _seconds_to_next_start(self) -> float:
        waiting = [slot.start_at for slot in self.slots if slot.process is None and slot.start_at is not None]
        return max(0.0, min([self._tick, *(at - time.monotonic() for at in waiting)]))

    def _shape(self) -> dict[str, int]:
        port = self.listener.getsockname()[1]
        return {"partitions": self.config.partitions, "workers": self.config.workers, "metrics_port": port}

    def _tell_state(self) -> None:
        for slot in self.slots:
            fields = {"child": slot.name, "pid": slot.pid, "booted": slot.board.has_booted}
            fields |= {"task": slot.board.running_task or 0, "silent_seconds": f"{slot.board.silent_for():.1f}"}
            logger.warning("state", extra={"fields": fields})


def _keep(context: ChildContext, deaths: Pipe, workers: Sequence[BoardRow]) -> int:
    return Keeper(context, deaths, Orphans(workers)).run()
