"""Kills workers while they work."""

import os
import secrets
import signal
import socket
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pgsupervise.django_app.models import Worker
from pgsupervise.partitions.states import WorkerState


class Killer:
    """SIGKILLs a random worker of one supervisor every `every`; without `every` it does nothing."""

    def __init__(self, supervisor_pid: int, every: timedelta | None) -> None:
        self.kills = 0
        self._supervisor_pid = supervisor_pid
        self._every = every
        self._killed: set[UUID] = set()
        self._next = time.monotonic() + every.total_seconds() if every else 0.0

    def step(self) -> None:
        """Kill a worker if it is time to."""
        if self._every is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every.total_seconds()
        victims = [worker for worker in _active() if worker.id not in self._killed and self._is_ours(worker.pid)]
        if victims:
            victim = secrets.choice(victims)
            os.kill(victim.pid, signal.SIGKILL)
            self._killed.add(victim.id)
            self.kills += 1

    def _is_ours(self, pid: int) -> bool:
        """Return whether a process is the supervisor's child: the row may be older than its process's end."""
        return _parent(pid) == self._supervisor_pid


def _active() -> list[Worker]:
    rows = Worker.objects.filter(kind="worker", state=WorkerState.ACTIVE, host=socket.gethostname()[:255])
    return list(rows.only("id", "pid"))


def _parent(pid: int) -> int | None:
    stat = Path(f"/proc/{pid}/stat")
    try:
        if Path("/proc/self/stat").exists():
            # The name, in brackets, may hold anything; what follows its last bracket is the state and the parent.
            return int(stat.read_text().rpartition(")")[2].split()[1])
        asked = ["ps", "-o", "ppid=", "-p", str(pid)]
        return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - a number
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
