"""Channels that are paused: a row each for the whole cluster, written when that changes and read once a second."""

from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple
from uuid import UUID

from .connection import Connection
from .statements import load


class PausedChannel(NamedTuple):
    """What a channel's row says. It is open where it is neither held by hand nor paused.

    `seconds` is how long the pause still lasts: where that is not more than zero, one message may be sent on trial.
    `trial_seconds` is how long the right to do so is still somebody's.
    """

    name: str
    is_held: bool = False
    is_paused: bool = False
    seconds: float = 0.0
    trial_seconds: float = 0.0


def read_channels(connection: Connection) -> Sequence[PausedChannel]:
    """Return the channels that have ever been paused."""
    return list(starmap(PausedChannel, connection.execute(load("read_channels"))))


def pause_channel(connection: Connection, channel: str, seconds: float, reason: str, by: str) -> None:
    """Let nothing go by a channel for so long, and then one message on trial."""
    parameters = {"channel": channel, "seconds": seconds, "reason": reason, "by": by}
    connection.execute(load("pause_channel"), parameters)


def hold_channel(connection: Connection, channel: str, reason: str, by: str) -> None:
    """Let nothing go by a channel until somebody resumes it."""
    connection.execute(load("hold_channel"), {"channel": channel, "reason": reason, "by": by})


def resume_channel(connection: Connection, channel: str, by: str) -> bool:
    """Let everything go by a channel again; False when nothing held it up."""
    return connection.execute(load("resume_channel"), {"channel": channel, "by": by}).fetchone() is not None


def take_trial(connection: Connection, channel: str, owner: UUID, seconds: float) -> bool:
    """Take the right to send one message by a channel whose pause is over; False when it is not, or somebody has it."""
    parameters = {"channel": channel, "owner": owner, "seconds": seconds}
    return connection.execute(load("take_trial"), parameters).fetchone() is not None


def drop_trial(connection: Connection, channel: str, owner: UUID) -> None:
    """Give the right back."""
    connection.execute(load("drop_trial"), {"channel": channel, "owner": owner})


def pass_trial(connection: Connection, channel: str, owner: UUID, by: str) -> None:
    """Let everything go by a channel again, if the right to try is still the owner's."""
    connection.execute(load("pass_trial"), {"channel": channel, "owner": owner, "by": by})
