"""How the parent tells the keeper which children have ended, so that nobody need wait for their silence."""

import json
import os
from collections import deque
from multiprocessing.connection import Connection as Pipe

from pgsupervise.partitions.reclaim import CANCELLED, TIMEOUT

from .overdue import FENCED
from .slots import Slot, fork

REMEMBERED = 256
"""So many are told again to a new keeper; whoever is older than these is buried for its silence."""


class Deaths:
    """The parent's end of the pipe to the keeper, and what is still to be told on it."""

    def __init__(self) -> None:
        self.pipe: Pipe | None = None
        self._remembered: deque[bytes] = deque(maxlen=REMEMBERED)
        self._untold: deque[bytes] = deque()

    def new_pipe(self) -> Pipe:
        """Return the end to read from, for the keeper that is about to be forked."""
        if self.pipe is not None:
            self.pipe.close()
        reader, self.pipe = fork.Pipe(duplex=False)
        # A keeper that hangs must not make the parent hang. A message is shorter than PIPE_BUF: written whole or not.
        os.set_blocking(self.pipe.fileno(), False)
        # What its predecessor may have taken with it to the grave is told again: burying twice changes nothing.
        self._untold = deque(self._remembered)
        return reader

    def record(self, slot: Slot, reason: str) -> None:
        """Remember every end: a child that drained while the database was away could not take its leave either."""
        if slot.board.instance is None:
            return
        # A task is the cause of its worker's death but where the parent had other reasons to kill it.
        running = slot.board.running_task if not slot.killed or reason in (TIMEOUT, CANCELLED, FENCED) else None
        death = {"id": str(slot.board.instance), "reason": reason, "running_task": running}
        self._remembered.append(json.dumps(death).encode())
        self._untold.append(self._remembered[-1])
        self.tell()

    def tell(self) -> None:
        """Write what the pipe takes; the rest is tried again when the parent looks around next."""
        while self._untold and self.pipe is not None:
            try:
                self.pipe.send_bytes(self._untold[0])
            except (BlockingIOError, BrokenPipeError):
                return  # it is busy, or dead: its successor is told everything anew
            self._untold.popleft()
