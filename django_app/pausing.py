"""Pausing a channel by hand, in the whole cluster: the workers hear of it within about a second of the commit."""

from pgsupervise.partitions.statements import load

from .bulk import write_connection
from .models import Channel
from .texts import check_text

MAX_REASON = 1000
MAX_BY = 320


def pause_channel(channel: str, reason: str = "", by: str = "") -> None:
    """Let nothing go by a channel until `resume_channel`, in the caller's transaction; nothing is lost or burnt.

    Raises ValueError for a channel that there is not, TypeError or ValueError for other values.
    """
    _check(channel, by)
    check_text(reason, "reason", MAX_REASON)
    _execute("hold_channel", {"channel": channel, "reason": reason, "by": by})


def resume_channel(channel: str, by: str = "") -> bool:
    """Let everything go by a channel again, whoever paused it; return whether anybody had. Raises as the other one."""
    _check(channel, by)
    return bool(_execute("resume_channel", {"channel": channel, "by": by}))


def _check(channel: str, by: str) -> None:
    from . import channels

    if channel not in channels.known():
        raise ValueError(f"there is no channel {channel!r}: known are {', '.join(channels.known())}")
    check_text(by, "by", MAX_BY)


def _execute(statement: str, parameters: dict[str, str]) -> int:
    with write_connection(Channel).cursor() as cursor:
        cursor.execute(load(statement), parameters)
        return int(cursor.rowcount)
