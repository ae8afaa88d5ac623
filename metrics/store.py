"""Where counts live: in files of one slot each, so that they outlive the child that counted and nothing piles up.

A slot's file is taken over by the slot's next child, which counts on from the value that the last one left, however
that one ended. Without a directory (a plain Django process, a unit test) counts live in memory.
"""

import fcntl
import logging
import os
import re
import stat
from pathlib import Path

from prometheus_client import values

from .files import FORK_FILE, SLOT, SLOT_FILE, is_readable, sweep

log = logging.getLogger(__name__)

PARENT = "supervisor"
# What each of a slot's two files holds from the start: room for some 50 task names.
ALLOCATED = 256 * 1024

_directory: Path | None = None
_slot = PARENT
_lock: int | None = None


def use_directory(path: str | os.PathLike[str]) -> None:
    """Keep the counts of this process and of those it forks in files under `path`, and start from zero there.

    Called once, by the parent, before it forks. The project's own prometheus_client metrics are kept there too when
    they are created later. Raises OSError when the directory is not to be used: BlockingIOError when another
    supervisor has it, PermissionError when others could write to it.
    """
    global _directory, _slot
    folder = Path(path).absolute()
    _own(folder)
    _take(folder)
    sweep(folder, SLOT_FILE)
    sweep(folder, FORK_FILE)
    _directory, _slot = folder, PARENT
    _allocate(folder, PARENT)
    # prometheus_client asks for this name whenever it opens a file, and for the class whenever it makes a value.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(_identity)  # type: ignore[no-untyped-call]


def identify(slot: str) -> None:
    """Say which slot this process sits in ("worker-3"); called by a child right after the fork, before it counts.

    Files that cannot be used are no reason to fail: the child then counts in memory, where nobody sees it.
    """
    global _directory, _slot
    if not SLOT.fullmatch(slot):
        raise ValueError(f"slot name {slot!r}: use a kind and a number, such as 'worker-3'")
    _slot = slot
    if _directory is None:
        return
    _let_go()
    try:
        _own(_directory)
        sweep(_directory, FORK_FILE)
        _allocate(_directory, slot)
    except OSError as error:
        log.warning("metrics are kept in memory: slot=%s directory=%s error=%s", slot, _directory, error)
        # Under the parent's name the files that are open already stay in use: the project's own metrics, made before
        # the fork, would fail to open others.
        _directory, _slot = None, PARENT
        values.ValueClass = values.MutexValue


def directory() -> Path | None:
    """Return where the files are, None while counts live in memory."""
    return _directory


def forget_live_gauges(slot: str) -> None:
    """Remove what a dead child's `live*` gauges said: the project's own may be such, ours never are."""
    if _directory is not None and _directory.is_dir():
        sweep(_directory, re.compile(rf"gauge_live[a-z]*_{re.escape(slot)}\.db"))


def _identity() -> str:
    return _slot


def _after_fork() -> None:
    # A process that has not said who it is, such as one that a task forks, must not write its own counts over its
    # parent's. It gets a file that nobody reads and that the next child or scrape removes.
    global _slot
    _slot = f"fork-{os.getpid()}"


os.register_at_fork(after_in_child=_after_fork)


def _own(folder: Path) -> None:
    """Make sure that the directory is there and this user's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = folder.stat(follow_symlinks=False)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise PermissionError(f"{folder} must be a directory of uid {os.geteuid()} that nobody else can write to")


def _take(folder: Path) -> None:
    """Lock the directory against other supervisors."""
    global _lock
    _let_go()
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    _lock = descriptor


def _let_go() -> None:
    """Close the lock's descriptor; a child does so lest it keep a killed supervisor's successor from starting."""
    global _lock
    if _lock is not None:
        os.close(_lock)
        _lock = None


def _allocate(folder: Path, slot: str) -> None:
    """Make the slot's files, or a new one in place of one that is spoilt.

    Writing through a memory map to a full disk kills the process with SIGBUS; blocks allocated now cannot do that.
    """
    for kind in ("counter", "histogram"):
        path = folder / f"{kind}_{slot}.db"
        if os.path.lexists(path) and not is_readable(path):
            log.warning("metrics file dropped, its counts start again from zero: path=%s", path)
            path.unlink()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, ALLOCATED)
        finally:
            os.close(descriptor)
