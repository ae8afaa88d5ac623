"""What the composition root hands to the processes: the only way in which a worker reaches the project's own code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from pgsupervise.partitions.rows import ClaimedDelivery, ClaimedTask, DueBatch, NewDelivery
from pgsupervise.partitions.windows import WindowRule

from .outcomes import SendOutcome, TaskOutcome


class Channel(Protocol):
    """A way to reach a recipient. Each sender thread has an instance of its own."""

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Send one message and say what is known about it. An exception counts as `Unknown`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """How to build a channel, and whether its receiver recognises a delivery that it already has.

    `resend_is_safe`: sending the same delivery twice shows the recipient one message.
    """

    build: Callable[[], Channel]
    resend_is_safe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    """What the flusher needs to know about a policy; `resend_unknown` decides about messages of unknown fate."""

    rule: WindowRule
    resend_unknown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """What the processes need to know about a declared task.

    `hard_timeout`: after this long its process is killed, which counts as a failed attempt. `retry_timeout`: whether
    such a task may be tried again while it has attempts left, or is DEAD at once.
    """

    hard_timeout: timedelta | None = None
    retry_timeout: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything of the project that the processes use."""

    conninfo: Mapping[str, Any]
    tasks: Mapping[str, TaskSpec]
    """The tasks that this code can run, by name."""
    run_task: Callable[[ClaimedTask], TaskOutcome]
    policies: Mapping[str, PolicySpec]
    render: Callable[[DueBatch], Sequence[NewDelivery]]
    channels: Mapping[str, ChannelSpec]
    longest_send: timedelta
    """A channel's call does not take longer: so long a worker that is to be killed may finish what it is sending."""
    close_connections: Callable[[], None]
    """Close what the project's framework opened in the calling thread or before the fork."""
