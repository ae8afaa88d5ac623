"""Soft timeouts: an exception in a task that runs for too long, raised where it stands, be it in a sleep or a query."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from types import FrameType
from typing import Any, ClassVar

REPEAT = 0.5
"""Seconds between rings, until one could raise: more than the 0.1 s of psycopg's wait, which each ring makes it begin
anew and after which alone Python runs the handler."""
PATIENCE = 4
"""Rings that a task in a place not to be interrupted may let pass."""
DELICATE = frozenset({"logging", "importlib._bootstrap"})
"""Modules that an exception would leave with a lock taken that all threads need, or with a half-made module."""


class SoftTimeoutError(Exception):
    """Raised in a task that ran longer than its soft timeout.

    A task that catches it, cleans up and returns is DONE; otherwise it has failed as by any other exception. It is
    raised once a run. A query that it interrupts is cancelled at the server. `atomic()` rolls back what it leaves by
    this exception; one in the middle of whose query it was caught fails at its end.
    """


def call_within(
    limit: timedelta,
    before_raising: Callable[[], object],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Call the function and return what it returns; once `limit` is over, SoftTimeoutError is raised in it.

    Only the main thread can be interrupted: in another one the function runs without a limit, and so it does when it
    sets the process's real-time timer for itself. `before_raising` is called in the middle of the function's work, and
    must not raise. The SIGALRM handler is afterwards what it was before, and no timer runs.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return function(*args, **kwargs)
    alarm = _Alarm(limit, before_raising)
    try:
        try:
            alarm.start()
            return function(*args, **kwargs)
        finally:
            # First of all: from here on the handler does nothing.
            alarm.live = False
    finally:
        alarm.stop()


async def await_within(limit: timedelta, coroutine: Coroutine[Any, Any, Any]) -> None:
    """Await the coroutine, which is cancelled at its next `await` once `limit` is over.

    Raises SoftTimeoutError then, unless the coroutine makes of it something else: an end or an exception of its own.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()) as timeout:
            await coroutine
    except TimeoutError as error:
        if timeout.expired():
            raise _error(limit) from error
        raise  # of the coroutine's own


class _Alarm:
    """One call's timer, and the handler of its signal.

    Python runs a handler between two steps of the main thread, so the function may have returned when it runs. It
    raises only while `live`, which is true for no longer than the function is running, and only once.
    """

    current: ClassVar["_Alarm | None"] = None

    def __init__(self, limit: timedelta, before_raising: Callable[[], object]) -> None:
        self.limit = limit
        self.before_raising = before_raising
        self.live = False
        self.let_pass = 0
        self.former = signal.signal(signal.SIGALRM, self.ring)

    def start(self) -> None:
        """Begin to count."""
        _Alarm.current = self
        self.live = True
        signal.setitimer(signal.ITIMER_REAL, self.limit.total_seconds(), REPEAT)

    def stop(self) -> None:
        """Stop the timer and put the former handler back."""
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        if left <= REPEAT:
            # It may have rung, and the system may have given the signal to a thread that has not been scheduled since:
            # ignoring a signal drops it. With the default handler it would end the process.
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        self.put_back()

    def put_back(self) -> None:
        """Put the former handler back; the default one for a handler that is not Python's, which cannot be set."""
        self.live = False
        _Alarm.current = None
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self.former is None else self.former)

    def ring(self, number: int, frame: FrameType | None) -> None:
        """Raise in the function, unless it has ended or is where an exception would be lost or do harm."""
        if not self.live:
            return
        if self.let_pass < PATIENCE and _is_delicate(frame):
            self.let_pass += 1
            return
        self.live = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.before_raising()
        raise _error(self.limit)


def _is_delicate(frame: FrameType | None) -> bool:
    """Return whether an exception would be ignored where the function stands, or could do lasting harm."""
    while frame is not None and frame.f_code is not call_within.__code__:
        if frame.f_code.co_name == "__del__" or frame.f_globals.get("__name__") in DELICATE:
            return True
        frame = frame.f_back
    return False


def _error(limit: timedelta) -> SoftTimeoutError:
    return SoftTimeoutError(f"the task ran longer than its soft timeout of {limit.total_seconds():.10g} s")


def _let_go_of_fork() -> None:
    """Give what the function forks the handler of before: a fork has no timer, but may set one of its own."""
    if _Alarm.current is not None:
        _Alarm.current.put_back()


os.register_at_fork(after_in_child=_let_go_of_fork)
