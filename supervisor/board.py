"""A page of shared memory: what each child is doing right now, legible for the parent also after the child's death."""

import mmap
import struct
import time
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

_ROW = 128
_INT = struct.Struct("=q")
_FLOAT = struct.Struct("=d")
_RUN = struct.Struct("=qqd")
_PAIR = struct.Struct("=qq")
_BOOTED, _BEAT, _INSTANCE, _RUNNING, _PREPARING = 0, 8, 16, 32, 56
_DOOMED, _PEERS, _CHANGES, _PID, _DISMISSED = 64, 80, 88, 96, 112


class Doom(IntEnum):
    """Why a running task has to be ended with its process."""

    TIMEOUT = 1
    CANCELLED = 2


class Run(NamedTuple):
    """The run of a task: `task` is 0 between two runs, `number` counts the process's runs from 1, `deadline` is the
    monotonic time at which it must have ended, 0 for none."""

    task: int
    number: int
    deadline: float


class Board:
    """One row a slot and one for the parent, made before the fork. Aligned 8-byte stores: no reader sees half a one."""

    def __init__(self, slots: int) -> None:
        self._memory = mmap.mmap(-1, _ROW * (slots + 1))
        self._slots = slots

    def row(self, slot: int) -> "BoardRow":
        """Return the row of a slot."""
        return BoardRow(self._memory, slot * _ROW)

    @property
    def parent(self) -> "BoardRow":
        """The parent's own row: its beat, and the count of changes in who owns what."""
        return self.row(self._slots)


class BoardRow:
    """What one process tells about itself. Times are CLOCK_MONOTONIC, which all processes of a machine share."""

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._memory = memory
        self._offset = offset
        self._runs = 0

    def clear(self) -> None:
        """Forget the former child, before the next one is forked."""
        self._memory[self._offset : self._offset + _ROW] = bytes(_ROW)

    def born(self, pid: int, birth: int) -> None:
        """Say which process sits in the slot, and when it was started: a pid alone may be somebody else's later."""
        self._put(_PID, _PAIR.pack(pid, birth))

    @property
    def pid(self) -> int:
        """The child's pid, 0 before it is born."""
        return self._int(_PID)

    @property
    def birth(self) -> int:
        """When it was started, in the kernel's ticks."""
        return self._int(_PID + 8)

    def booted(self) -> None:
        """Say that the child serves."""
        self._put(_BOOTED, _INT.pack(1))

    @property
    def has_booted(self) -> bool:
        """Whether the child serves."""
        return self._int(_BOOTED) == 1

    @property
    def instance(self) -> UUID | None:
        """The child's identity, from the moment it registered."""
        raw = self._memory[self._offset + _INSTANCE : self._offset + _INSTANCE + 16]
        return UUID(bytes=raw) if any(raw) else None

    @instance.setter
    def instance(self, value: UUID) -> None:
        self._put(_INSTANCE, value.bytes)

    def started(self, task_id: int, deadline: float = 0.0) -> None:
        """Say which task runs from now on, and until when it may."""
        self._runs += 1
        _RUN.pack_into(self._memory, self._offset + _RUNNING, task_id, self._runs, deadline)

    def finished(self) -> None:
        """Say that no task runs."""
        _RUN.pack_into(self._memory, self._offset + _RUNNING, 0, self._runs, 0.0)

    @property
    def run(self) -> Run:
        """The run that is under way, or that was when the child died."""
        return Run(*_RUN.unpack_from(self._memory, self._offset + _RUNNING))

    @property
    def running_task(self) -> int | None:
        """The id of the task that runs, or that ran when the child died."""
        return self._int(_RUNNING) or None

    def prepare(self, run: int) -> None:
        """Say that the child is making itself ready to be killed for a run; 0 takes it back."""
        self._put(_PREPARING, _INT.pack(run))
        if not run:
            self._put(_DOOMED, _PAIR.pack(0, 0))

    @property
    def preparing(self) -> int:
        """The run for which the child is making itself ready to be killed."""
        return self._int(_PREPARING)

    def doom(self, run: int, why: Doom) -> None:
        """Say that the child is ready to be killed for a run."""
        self._put(_DOOMED + 8, _INT.pack(why))
        self._put(_DOOMED, _INT.pack(run))

    @property
    def doomed(self) -> tuple[int, Doom] | None:
        """The run for which the child is ready to be killed, and why."""
        run, why = _PAIR.unpack_from(self._memory, self._offset + _DOOMED)
        return (run, Doom(why)) if run else None

    @property
    def has_peers(self) -> bool:
        """Whether other supervisors had live workers when the child looked last: they may take its buckets over."""
        return self._int(_PEERS) == 1

    @has_peers.setter
    def has_peers(self, value: bool) -> None:
        self._put(_PEERS, _INT.pack(value))

    def dismiss(self) -> None:
        """Say that the parent itself wants the child to end."""
        self._put(_DISMISSED, _INT.pack(1))

    @property
    def is_dismissed(self) -> bool:
        """Whether the parent wants the child to end."""
        return self._int(_DISMISSED) == 1

    def changed(self) -> None:
        """Count a change in who owns what. That two processes may count it as one is no harm: it is a change."""
        self._put(_CHANGES, _INT.pack(self.changes + 1))

    @property
    def changes(self) -> int:
        """How often who owns what has changed."""
        return self._int(_CHANGES)

    def beat(self, at: float) -> None:
        """Record a sign of life."""
        self._put(_BEAT, _FLOAT.pack(at))

    def silent_for(self) -> float:
        """Return the seconds since the last sign of life."""
        (at,) = _FLOAT.unpack_from(self._memory, self._offset + _BEAT)
        return time.monotonic() - at if at else 0.0

    def _put(self, field: int, value: bytes) -> None:
        self._memory[self._offset + field : self._offset + field + len(value)] = value

    def _int(self, field: int) -> int:
        value: int = _INT.unpack_from(self._memory, self._offset + field)[0]
        return value
