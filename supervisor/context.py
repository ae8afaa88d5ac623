"""What the parts of one child share."""

import signal
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from .board import BoardRow
from .channel_board import ChannelBoard
from .config import Config
from .link import ANSWER_SECONDS, Link
from .ownership import Ownership
from .project import Project
from .results import Results
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
    common: BoardRow
    """The parent's row, where each change in who owns what is counted."""
    channels: ChannelBoard
    """Which channels are paused."""
    wake_parent: Callable[[], None]
    inbox: SignalInbox
    id: UUID = field(default_factory=uuid4)
    draining: threading.Event = field(default_factory=threading.Event)
    """Nothing new is begun from now on."""

    @property
    def name(self) -> str:
        """The slot's name, as it stands in logs, metrics and `ps`."""
        return f"{self.kind}-{self.slot}"

    def take_signals(self) -> None:
        """Act upon the signals received since the last look: TERM and INT drain.

        A terminal and systemd signal the whole group: keeper and exporter wait for their parent's word, since they are
        needed until the workers have ended.
        """
        for number in self.inbox.take():
            if number in (signal.SIGTERM, signal.SIGINT) and (self.kind == "worker" or self.board.is_dismissed):
                self.draining.set()

    def drain(self) -> None:
        """Begin to drain and wake the main loop."""
        self.draining.set()
        self.inbox.wake()


@dataclass(kw_only=True)
class WorkerContext(ChildContext):
    """What a worker's threads share beyond that."""

    ownership: Ownership
    results: Results = field(default_factory=Results)
    cancelled: AbstractSet[int] = frozenset()
    """Tasks in hand that somebody wants to be cancelled, as of the last beat."""
    holding: threading.Event = field(default_factory=threading.Event)
    """The process is about to be killed: no message is begun from now on."""
    sending: int = 0
    """How many jobs the senders have in hand, or have answered without its being written down."""
    attention: threading.Event = field(default_factory=threading.Event)
    """The watch has something to look at: a result that waits behind another task, or the end of the work."""
    work_ended: threading.Event = field(default_factory=threading.Event)
    """Both loops have ended: the beat may give the leases back and stop."""

    def link(self, role: str, pause: Callable[[float], None], answer_seconds: float = ANSWER_SECONDS) -> Link:
        """Return the connection of one of the worker's loops."""
        patience = self.config.fence_after / 2
        return Link(self.project.conninfo, f"{role} {self.name}", pause, patience, answer_seconds)
