"""What the platform tells about memory: how much a process holds, and whether the kernel has killed for want of it."""

import os
from collections import deque
from pathlib import Path

STATM = "/proc/{pid}/statm"
EVENTS = Path("/sys/fs/cgroup/memory.events")
"""Of a container: its own cgroup is the root that it sees (cgroup v2, Linux's admin-guide/cgroup-v2)."""
FRESH_SECONDS = 5.0
OUT_OF_MEMORY = "out_of_memory"
_PAGE = os.sysconf("SC_PAGE_SIZE")


def is_told() -> bool:
    """Return whether this platform tells how much memory a process holds."""
    return os.path.exists(STATM.format(pid="self"))


def resident_mib(pid: int) -> float:
    """Return how much memory a process holds, shared pages included; 0 when it has just ended."""
    try:
        with open(STATM.format(pid=pid)) as pages:
            return int(pages.read().split()[1]) * _PAGE / 2**20
    except (OSError, IndexError):
        return 0.0


class OutOfMemory:
    """Tells a SIGKILL of the kernel, which was out of memory, from anybody else's."""

    def __init__(self, events: Path = EVENTS) -> None:
        self._events = events
        self._known = self._read()
        self._kills: deque[float] = deque()

    def look(self, now: float) -> None:
        """Notice new kills, and forget old ones: they were of a task's own processes, which nobody here will miss."""
        known = self._read()
        self._kills.extend([now] * (known - self._known))
        self._known = known
        while self._kills and now - self._kills[0] > FRESH_SECONDS:
            self._kills.popleft()

    def has_killed(self, now: float) -> bool:
        """Return whether there was such a kill just now; each counts once."""
        self.look(now)
        if self._kills:
            self._kills.popleft()
            return True
        return False

    def _read(self) -> int:
        try:
            lines = self._events.read_text().splitlines()
        except OSError:  # not Linux, or no cgroup of our own
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
