"""Signals: a handler records and wakes, nothing else; the loops look when it suits them."""

import os
import select
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType


class SignalInbox:
    """Collects the signals of this process; must be made and opened in its main thread."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._received: deque[signal.Signals] = deque()
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)

    def open(self) -> None:
        """Start to collect. Python itself writes to the wakeup fd, so a waiting select returns at once."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, self._record)
            signal.siginterrupt(number, False)

    def keep_handlers(self) -> None:
        """Put our handlers back where a task has set others: a worker that ignores TERM could only be killed.

        Takes longer than a small task: signal.getsignal() looks each handler up in an enum.
        """
        if any(signal.getsignal(number) != self._record for number in self._numbers):
            self.open()

    def close(self) -> None:
        """Put the default handlers back and close the pipe."""
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._reader)
        os.close(self._writer)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._received.append(signal.Signals(number))

    def wake(self) -> None:
        """Make a `wait` return; may be called from any thread."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # the pipe is full: a wake-up is waiting already

    def wait(self, timeout: float, also: Sequence[int] = ()) -> None:
        """Sleep until a signal, a wake-up, something to read on `also`, or `timeout` seconds."""
        readable, _, _ = select.select([self._reader, *also], [], [], max(0.0, timeout))
        if self._reader in readable:
            self._empty()

    def _empty(self) -> None:
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            return

    def take(self) -> Iterator[signal.Signals]:
        """Yield what has been received since the last call, oldest first."""
        if not self._received:
            return
        with suppress(IndexError):  # several threads of a worker look
            while True:
                yield self._received.popleft()


@contextmanager
def blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Hold signals back across a fork: a child must not run the parent's handlers before it has set its own."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def reset_in_child() -> None:
    """Drop the parent's handlers and mask; called first thing after the fork, also of what a task forks."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def let_go_of_forks() -> None:
    """Give what a task forks the default signals: with ours it would record TERM instead of ending, and wake us.

    TERM and INT are held back across the fork, for one that arrives before the handlers are reset would be lost.
    """
    held = (signal.SIGTERM, signal.SIGINT)
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, held),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, held),
        after_in_child=reset_in_child,
    )
