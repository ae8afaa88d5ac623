"""A page of shared memory: which channels are paused, for all processes of a supervisor at once.

It is made before the fork, so a worker that is told to wait stops its neighbours with its next store. The cluster's
table is behind it by a second at most. Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

import mmap
import struct
from collections.abc import Iterable, Iterator
from enum import Enum

_ROW = 64
_INT = struct.Struct("=q")
_FLOAT = struct.Struct("=d")
_READ_AT = 0
_PAUSED, _UNTIL, _TRIAL_UNTIL, _CHANGED_AT, _FIRST, _SECOND = 0, 8, 16, 24, 32, 40
READ_SECONDS = 1.0
UNTOLD_SECONDS = 30.0
"""For so long what a process has found out counts more than the table, which it may not have been able to tell."""


class Stand(Enum):
    """Whether messages go by a channel: all, none, or one on trial."""

    OPEN = 1
    PAUSED = 2
    TRIAL = 3


class ChannelBoard:
    """One row a channel. Aligned 8-byte stores: no reader sees half a one."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._places = {name: number for number, name in enumerate(channels, 1)}
        self._memory = mmap.mmap(-1, _ROW * (len(self._places) + 1))

    def row(self, channel: str) -> "ChannelRow":
        """Return a channel's row."""
        return ChannelRow(self._memory, self._places[channel] * _ROW)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def take_reading(self, now: float) -> bool:
        """Return whether it is this process's turn to read the table. That two may read at once is no harm."""
        (at,) = _FLOAT.unpack_from(self._memory, _READ_AT)
        if now - at < READ_SECONDS and at:
            return False
        _FLOAT.pack_into(self._memory, _READ_AT, now)
        return True


class ChannelRow:
    """What this supervisor's processes know of one channel.

    Each field has one meaning and is stored by itself. Of two processes that store at once the last one wins: both know
    the same of the channel, or the table says it a second later.
    """

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._memory = memory
        self._offset = offset

    def stand(self, now: float) -> Stand:
        """Return whether messages go now."""
        if not self._int(_PAUSED):
            return Stand.OPEN
        return Stand.PAUSED if now < self._float(_UNTIL) else Stand.TRIAL

    def pause(self, now: float, until: float) -> bool:
        """Stop everybody until then; return whether this is news. The longer one of two pauses counts."""
        is_news = self.stand(now) != Stand.PAUSED
        self._put_float(_CHANGED_AT, now + UNTOLD_SECONDS)
        self._put_float(_TRIAL_UNTIL, 0.0)
        self._put_float(_UNTIL, until if is_news else max(until, self._float(_UNTIL)))
        self._put_int(_PAUSED, 1)
        return is_news

    def open(self, now: float) -> None:
        """Let everybody go on."""
        self._put_float(_CHANGED_AT, now + UNTOLD_SECONDS)
        self._put_int(_PAUSED, 0)
        self.trust()

    def told(self, now: float) -> None:
        """Say that the table knows what was found out: whoever begins to read it from now on may believe it."""
        self._put_float(_CHANGED_AT, now)

    def believe(self, began: float, *, paused: bool, until: float, trial_until: float) -> None:
        """Take over what the table said to who began to read it at that time, unless we know better since."""
        if self._float(_CHANGED_AT) > began:
            return
        if paused:
            self._put_float(_UNTIL, until)
            self._put_float(_TRIAL_UNTIL, trial_until)
        self._put_int(_PAUSED, int(paused))

    @property
    def trial_until(self) -> float:
        """Until when the right to send one message on trial is somebody's."""
        return self._float(_TRIAL_UNTIL)

    @trial_until.setter
    def trial_until(self, until: float) -> None:
        self._put_float(_TRIAL_UNTIL, until)

    def suspect(self, message: int) -> bool:
        """Take note of a message that the provider forbids; return whether it is the third one in a row."""
        first, second = self._int(_FIRST), self._int(_SECOND)
        if message in (first, second):
            return False
        self._put_int(_FIRST, message)
        self._put_int(_SECOND, first)
        return bool(first and second)

    def trust(self) -> None:
        """Take note of a message that the provider has taken."""
        if self._int(_FIRST) or self._int(_SECOND):
            self._put_int(_FIRST, 0)
            self._put_int(_SECOND, 0)

    def _int(self, field: int) -> int:
        value: int = _INT.unpack_from(self._memory, self._offset + field)[0]
        return value

    def _float(self, field: int) -> float:
        value: float = _FLOAT.unpack_from(self._memory, self._offset + field)[0]
        return value

    def _put_int(self, field: int, value: int) -> None:
        _INT.pack_into(self._memory, self._offset + field, value)

    def _put_float(self, field: int, value: float) -> None:
        _FLOAT.pack_into(self._memory, self._offset + field, value)
