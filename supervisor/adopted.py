"""The duty of process 1 in a container: it inherits orphans, and has to collect them when they end."""

import os


def reap_adopted(ours: set[int]) -> None:
    """Collect what ended and is none of ours; `WNOWAIT` looks first, so that no child of ours is taken."""
    while True:
        try:
            status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if status is None or status.si_pid in ours:
            return
        os.waitpid(status.si_pid, 0)
