"""Stops the embedded server when its last holder has gone, however it went.

`embedded.start()` runs this file, with the standard library alone, as a process of its own. It waits on a pipe whose
other end only the holder (and what the holder forked) has: a byte is `Server.stop()`, the end of the pipe is the
holder's death, by SIGKILL too. No signal handler, no atexit and no list of pids can promise that.
"""

import fcntl
import subprocess
import sys
from pathlib import Path


def main(lock: str, holders: str, account: str, *stop_command: str) -> None:
    """Wait for the holder's end, then stop the server unless another holder still uses it.

    `holders` is an inherited descriptor with a shared lock, one per holder; who can make it exclusive was the last.
    """
    sys.stdin.buffer.read(1)
    with Path(lock).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # nobody starts or stops the server meanwhile
        try:
            fcntl.flock(int(holders), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        uid, gid = (int(number) for number in account.split(":")) if account else (None, None)
        subprocess.run(  # noqa: S603 - the command is embedded.py's own
            stop_command,
            check=False,
            stdin=subprocess.DEVNULL,
            user=uid,
            group=gid,
            extra_groups=[] if account else None,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
