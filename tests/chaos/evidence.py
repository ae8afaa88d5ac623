"""What a schedule left behind, as plain data: the audit reads this and nothing else. Times are CLOCK_MONOTONIC."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from tests.chaos.ledger import Run


class Kind(StrEnum):
    """What is done to the processes, to the database and to what lies between them."""

    WORKER_KILL = "worker-kill"
    KEEPER_KILL = "keeper-kill"
    EXPORTER_KILL = "exporter-kill"
    PARENT_KILL = "parent-kill"
    GROUP_KILL = "group-kill"
    WORKER_STOP = "worker-stop"
    PAIR_STOP = "pair-stop"
    """A worker and its parent, so that the parent cannot kill it: it wakes up as a zombie."""
    GROUP_STOP = "group-stop"
    HANG_UP = "hang-up"
    TERM = "term"
    BACKENDS = "backends"
    DATABASE = "database"
    RESET = "reset"
    SHORT_STALL = "short-stall"
    LONG_STALL = "long-stall"
    LOST_COMMIT = "lost-commit"
    LOST_CLAIM = "lost-claim"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Fault:
    """One fault that was injected. `member` is the supervisor that it befell; empty means all of them."""

    kind: Kind
    member: str
    since: float
    until: float
    pids: frozenset[int] = frozenset()
    """The processes that it befell alone; empty where it befell the whole supervisor."""
    resumed: frozenset[int] = frozenset()
    """Those that were stopped, and still there to be continued at `until`."""
    holding: frozenset[UUID] = frozenset()
    """Workers that held claims at that moment."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its heartbeat row; `member` names the supervisor's seat in the cluster."""

    id: UUID
    member: str
    kind: str
    pid: int
    started: float
    ended: float | None
    state: str
    reason: str
    beat: float = 0.0
    """Its last one."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as the tables have it at the end; `ended` is when its DONE or DEAD was written."""

    number: int
    bucket: int
    key: str
    state: str
    attempt: int
    most_attempts: int
    crashes: int
    worker: UUID | None
    ended: float | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as the table has it at the end."""

    number: int
    id: int
    state: str
    batch: int | None
    reason: str = ""
    recipient: str = ""


READ = "READ"


class Answer(NamedTuple):
    """What was said when an event was taken back (a Retraction), or that it was marked as read (READ).

    `is_certain` where that transaction was committed; otherwise its COMMIT was cut off.
    """

    number: int
    answer: str
    is_certain: bool = False


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch with its only delivery, or with the reason for none; `deliveries` says how many there are."""

    id: int
    state: str
    item_count: int
    deliveries: int
    delivery: int | None
    delivery_state: str
    channel: str
    item_ids: Sequence[int]
    """As the delivery's payload has them."""
    numbers: Sequence[int]
    """As the text that was rendered has them."""
    reason: str = ""
    """Why nothing of it is sent; `delivery_reason` why its delivery was not."""
    recipient: str = ""
    delivery_reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What reached a recipient: `numbers` stand in its text, `content` is all of it that must not change."""

    delivery: int
    numbers: Sequence[int]
    content: str
    at: float


@dataclass(frozen=True, slots=True)
class Produced:
    """What the load has enqueued: numbers whose transaction committed, did not, or was cut off at its COMMIT."""

    committed: frozenset[int] = frozenset()
    rolled_back: frozenset[int] = frozenset()
    uncertain: Sequence[frozenset[int]] = ()


NOTHING = Produced()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it. `dead_after` is the supervisors' time-to-dead in seconds."""

    dead_after: float
    tasks: Produced = NOTHING
    events: Produced = NOTHING
    runs: Sequence[Run] = ()
    task_rows: Sequence[TaskRow] = ()
    processes: Sequence[Process] = ()
    faults: Sequence[Fault] = ()
    event_rows: Sequence[EventRow] = ()
    batches: Sequence[BatchRow] = ()
    messages: Sequence[Message] = ()
    answers: Sequence[Answer] = ()
    fickle: frozenset[str] = field(default_factory=frozenset)
    """Recipients whose wishes change."""
    alive: frozenset[int] = field(default_factory=frozenset)
    """The pids of the supervisors' processes that live at the end."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    kind: str
    text: str
