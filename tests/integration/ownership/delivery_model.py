"""The model of notifications: what is folded and sealed, and what each statement does to deliveries."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState
from tests.integration.ownership.cluster_model import Cluster, Process

MOST_COPIES = 2
ASLEEP = (DeliveryState.WAITING, DeliveryState.RETRYING)
AHEAD = (DeliveryState.PENDING, DeliveryState.SENDING, *ASLEEP)
"""What holds back a recipient's later messages by the same channel: all are of one policy."""


@dataclass(eq=False)
class Message:
    """A row of the delivery ledger."""

    id: int
    recipient: str
    channel: str
    state: DeliveryState = DeliveryState.PENDING
    due: bool = True
    """Where it is asleep: its time has come."""
    token: int = 0
    claimer: Process | None = None
    attempt: int = 0
    told: set[int] = field(default_factory=set)
    """Attempts that the provider has told of, and of which nobody has taken note yet."""
    proven: set[int] = field(default_factory=set)
    copies: int = 0

    @property
    def bucket(self) -> int:
        """Where it belongs."""
        return bucket_of(self.recipient)

    def row(self) -> tuple[object, ...]:
        """Return what the table shows."""
        claimer = self.claimer.id if self.claimer else None
        return self.id, self.bucket, self.channel, self.state.value, self.token, claimer, self.attempt, self.copies

    def leave(self, state: DeliveryState) -> None:
        """End the claim. What the provider has told is known better."""
        self.state, self.claimer = DeliveryState.ACCEPTED if self.proven else state, None

    def take_note(self) -> int:
        """Hear what was told; return how many more attempts than before turn out to be duplicates."""
        before = max(0, len(self.proven) - 1)
        self.proven |= self.told
        self.told.clear()
        if self.state is not DeliveryState.SENDING:
            self.state = DeliveryState.ACCEPTED
        return len(self.proven) - 1 - before


@dataclass(frozen=True, eq=False, repr=False)
class Sending:
    """A delivery that a process got in hand once, under the epoch that its bucket had then."""

    by: Process
    epoch: int
    delivery: ClaimedDelivery

    def __repr__(self) -> str:
        return f"delivery {self.delivery.id} with token {self.delivery.claim_token} by {self.by}"


@dataclass
class Ledger:
    """The events, batches and deliveries of a cluster."""

    cluster: Cluster
    pending: list[tuple[datetime, int, int]] = field(default_factory=list)
    """Events without a batch: when, id and bucket, in order."""
    folded: set[int] = field(default_factory=set)
    sealed: set[int] = field(default_factory=set)
    messages: dict[int, Message] = field(default_factory=dict)

    def fold(self, bucket: int, limit: int) -> list[int]:
        """Put the oldest events of a bucket into batches."""
        chunk = [event for event in self.pending if event[2] == bucket][:limit]
        self.pending = [event for event in self.pending if event not in chunk]
        self.folded.update(id_ for _, id_, _ in chunk)
        return [id_ for _, id_, _ in chunk]

    def seal(self, batches: Iterable[int]) -> list[int]:
        """Freeze batches; those that already are do not count."""
        new = [id_ for id_ in batches if id_ not in self.sealed]
        self.sealed.update(new)
        return new

    def sending(self) -> list[Message]:
        """Return what is claimed."""
        return [message for message in self.messages.values() if message.state is DeliveryState.SENDING]

    def promote(self, process: Process, bucket: int, epoch: int) -> None:
        """Make those pending whose time has come, if the fence lets the process pass."""
        for message in self.messages.values():
            is_ripe = message.bucket == bucket and message.state in ASLEEP and message.due
            if is_ripe and self.cluster.holds(process, bucket, epoch):
                message.state = DeliveryState.PENDING

    def claim(self, process: Process, bucket: int, epoch: int, channels: Sequence[str], limit: int) -> list[Message]:
        """Claim the first deliveries that nothing earlier holds back, if the fence lets the process pass."""
        if not self.cluster.holds(process, bucket, epoch):
            return []
        blocked: set[tuple[str, str]] = set()
        free: list[Message] = []
        for message in sorted(self.messages.values(), key=lambda message: message.id):
            if message.bucket != bucket or message.state not in AHEAD:
                continue
            line = (message.recipient, message.channel)
            if message.state is not DeliveryState.PENDING:
                blocked.add(line)
            elif line not in blocked and message.channel in channels:
                free.append(message)
        for message in free[:limit]:
            message.state, message.claimer = DeliveryState.SENDING, process
            message.token += 1
            message.attempt += 1
        return free[:limit]

    def finish(
        self, process: Process, epoch: int, sent: Iterable[Sending], state: DeliveryState, due: bool, burnt: bool
    ) -> set[int]:
        """Write down what became of deliveries that are still the sender's, in a bucket that still is too."""
        found = [(self.messages[one.delivery.id], one.delivery.claim_token) for one in sent]
        ours = [
            message
            for message, token in found
            if message.state is DeliveryState.SENDING
            and message.token == token
            and self.cluster.holds(process, message.bucket, epoch)
        ]
        for message in ours:
            message.leave(state)
            message.due = due
            message.attempt -= not burnt
            message.copies += not due
        return {message.id for message in ours}

    def release_unheld(self, process: Process) -> set[int]:
        """Make those pending that the process has claimed and does not know of."""
        found = [m for m in self.sending() if m.claimer is process and m.id not in process.in_hand]
        for message in found:
            message.leave(DeliveryState.PENDING)
            message.token += 1
            message.attempt -= 1
        return {message.id for message in found}

    def reclaim(self, safe: Collection[str], resend: bool) -> tuple[int, int]:
        """Take back what the ended were sending; return how much, and how much of it is of unknown fate."""
        lost = [message for message in self.sending() if message.claimer and not message.claimer.live]
        unknown = 0
        for message in lost:
            message.copies += 1
            again = (resend and message.copies < MOST_COPIES) or message.channel in safe or bool(message.proven)
            message.leave(DeliveryState.PENDING if again else DeliveryState.UNKNOWN)
            message.token += 1
            unknown += not again
        return len(lost), unknown

    def take_note(self, process: Process, bucket: int, epoch: int) -> dict[int, int]:
        """Hear what was told of a bucket's messages; return the new duplicates of each."""
        if not self.cluster.holds(process, bucket, epoch):
            return {}
        return {m.id: m.take_note() for m in self.messages.values() if m.bucket == bucket and m.told}
