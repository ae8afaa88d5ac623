"""The supervisors' processes as the kernel shows them, found by their process group: orphans stay in it."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TITLE = "pgsupervise: "
STOPPED, GONE = "T", ("Z", "X")


@dataclass(frozen=True, slots=True)
class Living:
    """A process that has not ended; `role` is "worker-3", "keeper-0", ..., or empty just after its fork."""

    pid: int
    parent: int
    state: str
    role: str

    @property
    def stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        return self.state == STOPPED


def living(group: int) -> list[Living]:
    """Return the processes of a group, its leader included, by pid."""
    return sorted(_of_group(group), key=lambda process: process.pid)


def _of_group(group: int) -> Iterator[Living]:
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with suppress(OSError, ValueError):  # it has ended meanwhile
            # The name, in brackets, may hold anything; behind its last bracket are the state, the parent, the group.
            state, parent, itsgroup = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[:3]
            if int(itsgroup) == group and state not in GONE:
                yield Living(int(entry), int(parent), state, _role(entry))


def _role(pid: str) -> str:
    title = Path("/proc", pid, "cmdline").read_text().split("\0", 1)[0]
    return title.removeprefix(TITLE).split(" ", 1)[0] if title.startswith(TITLE) else ""


def send(number: signal.Signals, *pids: int) -> frozenset[int]:
    """Signal processes and return those that were there."""
    reached = set()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.add(pid)
    return frozenset(reached)
