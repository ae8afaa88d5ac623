"""Killing a child for what it does, and only while it still does it."""

import os
import signal
import time
from collections.abc import Callable

STOP_SECONDS = 1.0
_LOOK_SECONDS = 0.001
_STATES = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG


def kill_if(pid: int, still: Callable[[], bool]) -> bool:
    """Kill a child of ours if `still` holds once it stands still; return whether it was killed.

    A task may end, and the next one begin, between a look at it and the signal: so the child is stopped first, then
    looked at, and then killed or continued.
    """
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + STOP_SECONDS
    # What does not stop in time sleeps in the kernel, where it changes nothing either.
    while os.waitid(os.P_PID, pid, _STATES) is None and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    killed = still()
    os.kill(pid, signal.SIGKILL if killed else signal.SIGCONT)
    return killed
