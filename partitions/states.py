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
    """Whether an event has found its batch, or why it will be in no digest.

    A FOLDED one is open or sealed with its batch. RETRACTED was taken back by its sender, FILTERED has a reason.
    """

    PENDING = "PENDING"
    FOLDED = "FOLDED"
    RETRACTED = "RETRACTED"
    FILTERED = "FILTERED"


class Reason(StrEnum):
    """Why an event is FILTERED, or a batch sealed without a message."""

    FLUSH = "flush"
    """No event at all: it asked for a flush, and the fold has done it."""
    RECOMPUTED = "recomputed"
    """No event at all: it asked for the end that its batch's window has as it is declared now."""
    OWN_ACTION = "own action"
    READ = "read"
    MUTED = "muted"
    SUPPRESSED = "suppressed"
    """The address of every channel that was to take it is on the suppression list."""
    BELOW_MINIMUM = "below minimum"
    EMPTY = "empty"


class BatchState(StrEnum):
    """OPEN takes events, CLOSED takes none and waits to be sealed, SEALED is frozen in a delivery."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    SEALED = "SEALED"


class DeliveryState(StrEnum):
    """What is known about one message: UNKNOWN means that nobody can tell whether the provider took it.

    PENDING may be sent now. WAITING is not to be sent yet, for its recipient's quiet hours or its policy's cap, by the
    event clock; RETRYING was not sent, and is to be tried again, by the real one. Either is PENDING when its time has
    come. SKIPPED was not sent, for what its recipient did or wished between the seal and the sending.
    STANDBY is sent only if the channels before its own refuse.
    """

    STANDBY = "STANDBY"
    WAITING = "WAITING"
    RETRYING = "RETRYING"
    PENDING = "PENDING"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"


class SuppressionReason(StrEnum):
    """Why an address gets nothing any more. UNSUBSCRIBE leaves alone what is required, like a mute."""

    BOUNCE = "bounce"
    DROP = "drop"
    """The provider will not write to it: it has bounced there before, or is no address."""
    SPAM = "spam"
    UNSUBSCRIBE = "unsubscribe"
    """By a link or a list of the provider's; our own links are preferences."""
    BY_HAND = "by hand"


class WorkerState(StrEnum):
    """A process by its own word (ACTIVE, DRAINING, STOPPED) or by that of others (DEAD)."""

    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    DEAD = "DEAD"
