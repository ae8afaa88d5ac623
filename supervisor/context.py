"""What the parts of one child share."""

import signal
import threading
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from .board import BoardRow
from .config import Config
from .ownership import Ownership
from .project import Project
from .signals import SignalInbox


@dataclass(kw_only=True)
class ChildContext:
    """One child from its fork to its end; `id` is its identity, new for each boot."""

    config: Config
    project: Project
    supervisor_id: UUID
    parent_pid: int
    kind: str
    slot: int
    board: BoardRow
    inbox: SignalInbox
    id: UUID = field(default_factory=uuid4)
    draining: threading.Event = field(default_factory=threading.Event)
    """Nothing new is begun from now on."""

    @property
    def name(self) -> str:
        """The slot's name, as it stands in logs, metrics and `ps`."""
        return f"{self.kind}-{self.slot}"

    def take_signals(self) -> None:
        """Act upon the signals received since the last look: TERM and INT drain."""
        for number in self.inbox.take():
            if number in (signal.SIGTERM, signal.SIGINT):
                self.draining.set()

    def drain(self) -> None:
        """Begin to drain and wake the main loop."""
        self.draining.set()
        self.inbox.wake()


@dataclass(kw_only=True)
class WorkerContext(ChildContext):
    """What a worker's threads share beyond that."""

    ownership: Ownership
    work_ended: threading.Event = field(default_factory=threading.Event)
    """Both loops have ended: the beat may give the leases back and stop."""
