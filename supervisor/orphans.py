"""Workers whose supervisor was killed: they drain by themselves, and its keeper ends those that do not.

A task that lets no other thread of its process run keeps that process from noticing anything. Its parent would kill it;
without one there is only a sibling left.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from .board import BoardRow


class Orphans:
    """The workers of a supervisor as its keeper sees them, by their rows on the board."""

    def __init__(self, rows: Sequence[BoardRow]) -> None:
        self._rows = rows

    def alive(self) -> list[BoardRow]:
        """Return the rows of those that have not ended."""
        return [row for row in self._rows if row.pid and birth_of(row.pid) == row.birth]

    def kill(self) -> list[BoardRow]:
        """Kill those that have not ended; return their rows."""
        killed = []
        for row in self.alive():
            # They are no children of ours, so a pid may become somebody else's at any time, but a pidfd cannot.
            with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(row.pid)) as process:
                if birth_of(row.pid) == row.birth:
                    signal.pidfd_send_signal(process.fileno(), signal.SIGKILL)
                    killed.append(row)
        return killed


def birth_of(pid: int) -> int:
    """Return when a process was started, in the kernel's ticks since its boot; 0 for none, or where nobody tells."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
