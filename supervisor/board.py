"""A page of shared memory: what each child is doing right now, legible for the parent also after the child's death."""

import mmap
import struct
import time
from uuid import UUID

_ROW = 64
_INT = struct.Struct("=q")
_FLOAT = struct.Struct("=d")
_BOOTED, _RUNNING, _BEAT, _INSTANCE = 0, 8, 16, 24


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
        """The parent's own row; only its beat is used."""
        return self.row(self._slots)


class BoardRow:
    """What one process tells about itself. Times are CLOCK_MONOTONIC, which all processes of a machine share."""

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._memory = memory
        self._offset = offset

    def clear(self) -> None:
        """Forget the former child, before the next one is forked."""
        self._memory[self._offset : self._offset + _ROW] = bytes(_ROW)

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

    def started(self, task_id: int) -> None:
        """Say which task runs from now on."""
        self._put(_RUNNING, _INT.pack(task_id))

    def finished(self) -> None:
        """Say that no task runs."""
        self._put(_RUNNING, _INT.pack(0))

    @property
    def running_task(self) -> int | None:
        """The id of the task that runs, or that ran when the child died."""
        return self._int(_RUNNING) or None

    def beat(self, at: float) -> None:
        """Record a sign of life."""
        self._put(_BEAT, _FLOAT.pack(at))

    def silent_for(self) -> float:
        """Return the seconds since the last sign of life."""
        (at,) = _FLOAT.unpack(self._memory[self._offset + _BEAT : self._offset + _BEAT + 8])
        return time.monotonic() - at if at else 0.0

    def _put(self, field: int, value: bytes) -> None:
        self._memory[self._offset + field : self._offset + field + len(value)] = value

    def _int(self, field: int) -> int:
        value: int = _INT.unpack(self._memory[self._offset + field : self._offset + field + 8])[0]
        return value
