"""What became of a task that ran or of a message that was sent: values, decided upon by one `match`."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Done:
    """The task returned."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The task raised; it is tried again until its attempts are used up."""

    error: str
    traceback: str


TaskOutcome = Done | Failed


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took responsibility for the message."""

    provider_id: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The message certainly did not go out and may be tried again."""

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never take this message."""

    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is wrong with the message: the channel is out of service (key, quota, block) for a while."""

    reason: str
    retry_after: timedelta


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The provider forbids it: this message for what it is, or every one of the channel's. Others' messages tell."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request went out and no answer tells whether the provider took it."""

    reason: str


SendOutcome = Accepted | NotSent | Refused | Paused | Forbidden | Unknown
