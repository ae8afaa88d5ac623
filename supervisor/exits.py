"""Exit codes of the supervisor and its children, and what an ended child's status means."""

import signal
from enum import IntEnum


class ExitCode(IntEnum):
    """Why a process of ours ended by itself."""

    OK = 0
    ERROR = 1
    BAD_CONFIGURATION = 2
    """Also what click exits with for a bad command line."""
    CANNOT_BOOT = 3
    """A fault that a restart does not mend; the supervisor stops instead of trying again."""
    FENCED = 4
    """Others have declared the process dead: whatever it was doing is theirs now."""
    CRASH_LOOP = 5
    """No child lives long enough to serve; the supervisor stops, so that whoever runs it sees it."""
    ORPHANED = 6
    """A child whose parent was killed, and whose task did not end in time."""


KILLED = "signal:SIGKILL"


def describe(exitcode: int) -> str:
    """Return the reason of an end, from a fixed set of words, so that it can label a metric."""
    if exitcode < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"signal:{known.get(-exitcode, -exitcode)}"  # most real-time signals have no name
    match exitcode:
        case ExitCode.OK:
            return "clean"
        case ExitCode.CANNOT_BOOT:
            return "cannot_boot"
        case ExitCode.FENCED:
            return "fenced"
        case ExitCode.ORPHANED:
            return "orphaned"
        case ExitCode.ERROR:
            return "error"
        case _:
            return f"exit:{exitcode}"
