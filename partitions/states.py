"""The states of rows, spelled as they stand in the tables."""

from enum import StrEnum


class TaskState(StrEnum):
    """What may happen to a task next."""

    SCHEDULED = "SCHEDULED"
    READY = "READY"
    IN_PROGRESS = "IN PROGRESS"
    DONE = "DONE"
    DEAD = "DEAD"
    CANCELLED = "CANCELLED"


class EventState(StrEnum):
    """Whether an event has found its batch."""

    PENDING = "PENDING"
    FOLDED = "FOLDED"


class BatchState(StrEnum):
    """OPEN takes events, CLOSED takes none and waits to be sealed, SEALED is frozen in a delivery."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    SEALED = "SEALED"


class DeliveryState(StrEnum):
    """What is known about one message: UNKNOWN means that nobody can tell whether the provider took it."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


class WorkerState(StrEnum):
    """A process by its own word (ACTIVE, DRAINING, STOPPED) or by that of others (DEAD)."""

    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    DEAD = "DEAD"
