"""Runs a command until that ends or until nobody holds this process's standard input any more.

`processes.py` runs this file, with the standard library alone, as a process of its own, and the supervisor under it.
The other end of the pipe is the replay's: however the replay ends, by SIGKILL too, the pipe ends with it, and so does
the supervisor. The command's process id is written to standard output, its exit code is this process's.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main(grace_seconds: str, *command: str) -> int:
    """Return the command's exit code, 128 and the signal's number if a signal ended it."""
    # A group of its own, so that what is left of it at the end can be killed together.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)  # noqa: S603 - ours
    os.write(sys.stdout.fileno(), b"%d\n" % child.pid)
    threading.Thread(target=_end_with_pipe, args=(child, float(grace_seconds)), daemon=True).start()
    code = child.wait()
    _kill_group(child.pid)
    return code if code >= 0 else 128 - code


def _end_with_pipe(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): its lock would abort this process's own end
    child.terminate()
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        _kill_group(child.pid)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
