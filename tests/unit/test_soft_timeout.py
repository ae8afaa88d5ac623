"""A soft timeout raises in its own task and nowhere else: real timers and signals, as in a worker's main thread."""

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import FrameType
from typing import Any

import pytest

from pgsupervise.django_app import soft_timeout
from pgsupervise.django_app.task_runner import run_task
from pgsupervise.django_app.tasks import SoftTimeoutError, task
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.outcomes import Done, Failed, TaskOutcome
from tests.registries import own_registries

LIMIT = 0.1
TIMED_OUT = f"SoftTimeoutError: the task ran longer than its soft timeout of {LIMIT} s"
CLAIMED = ClaimedTask(1, 2, 3, "app.limited", "[]", "{}", 1, 5, 0, "")


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


@pytest.fixture(autouse=True)
def strays() -> Iterator[list[int]]:
    """Collect alarms that reach the handler of before, which no test may let happen; it must stay in its place."""
    rung: list[int] = []

    def stray(number: int, frame: FrameType | None) -> None:
        rung.append(number)

    before = signal.signal(signal.SIGALRM, stray)
    yield rung
    now = signal.signal(signal.SIGALRM, before)
    assert now is stray
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not rung


def run_limited(function: Callable[[], Any], seconds: float = LIMIT) -> TaskOutcome:
    task(name="app.limited", soft_timeout=timedelta(seconds=seconds))(function)
    return run_task(CLAIMED)


def error_of(outcome: TaskOutcome) -> str:
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def receive_what_nobody_sends() -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.recv(1)


def wait_for_a_program() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"]) as program:
        try:
            program.wait()
        finally:
            program.kill()


BLOCKED: dict[str, Callable[[], Any]] = {
    "sleep": lambda: time.sleep(30),
    "compute": lambda: busy(30),
    "lock": lambda: threading.Event().wait(30),
    "select": lambda: select.select([], [], [], 30),
    "receive": receive_what_nobody_sends,
    "program": wait_for_a_program,
    "sleep without end": lambda: signal.pause(),
}


@pytest.mark.parametrize("function", BLOCKED.values(), ids=BLOCKED)
def test_whatever_a_task_waits_for_it_is_interrupted(function: Callable[[], Any]) -> None:
    began = time.monotonic()
    assert error_of(run_limited(function)) == TIMED_OUT
    assert LIMIT <= time.monotonic() - began < 5


def test_the_traceback_begins_in_the_task() -> None:
    outcome = run_limited(wait_for_a_program)
    assert isinstance(outcome, Failed)
    lines = outcome.traceback.splitlines()
    assert "in wait_for_a_program" in lines[1]
    assert "call_within" not in outcome.traceback


def test_a_task_may_catch_it_once_and_clean_up_at_leisure() -> None:
    seen: list[str] = []

    def tidy() -> None:
        try:
            time.sleep(30)
        except SoftTimeoutError as error:
            seen.append(str(error))
        time.sleep(3 * LIMIT + 3 * soft_timeout.REPEAT)
        seen.append("tidied up")

    assert run_limited(tidy) == Done()
    assert seen == [TIMED_OUT.removeprefix("SoftTimeoutError: "), "tidied up"]


def take_the_handler() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def take_the_timer() -> None:
    signal.setitimer(signal.ITIMER_REAL, 60)


def fail() -> None:
    raise ValueError("its own")


def leave() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("function", [lambda: None, take_the_handler, take_the_timer, fail, leave, BLOCKED["sleep"]])
def test_however_a_task_ends_its_alarm_ends_with_it(function: Callable[[], Any]) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    run_limited(function)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    time.sleep(2 * LIMIT)


def test_a_task_that_fails_within_its_limit_keeps_its_own_error() -> None:
    assert error_of(run_limited(fail)) == "ValueError: its own"


def test_a_task_without_a_limit_has_no_alarm(strays: list[int]) -> None:
    handler, seen = signal.getsignal(signal.SIGALRM), []
    task(name="app.limited")(
        lambda: seen.append((signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)))
    )
    assert run_task(CLAIMED) == Done()
    assert seen == [(handler, (0.0, 0.0))]


def test_an_alarm_that_meets_the_end_of_its_task_escapes_nowhere() -> None:
    """Tasks that take just their limit, so that the signal comes in the middle of the return and of the disarming."""
    limit, outcomes = 0.001, {"done": 0, "failed": 0}
    for turn in range(1500):
        seconds = limit + (turn % 100 - 60) * 1e-6

        def exact(seconds: float = seconds) -> None:
            busy(seconds)

        outcome = run_limited(exact, limit)
        if outcome != Done():
            assert error_of(outcome).startswith("SoftTimeoutError: ")
        outcomes["done" if outcome == Done() else "failed"] += 1
        busy(0.00005)
    assert min(outcomes.values()) > 50, outcomes


def test_an_alarm_for_a_thread_that_does_not_run_is_dropped_with_its_task() -> None:
    """The signal is the process's: blocked in the main thread, it waits for another thread, as where that is busy."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    try:
        run_limited(lambda: busy(2 * LIMIT))
        assert signal.SIGALRM not in signal.sigpending()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])


def test_another_thread_is_not_interrupted() -> None:
    outcomes: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run_limited(lambda: time.sleep(3 * LIMIT))))
    thread.start()
    thread.join()
    assert outcomes == [Done()]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns where there are threads
def test_what_a_task_forks_has_neither_its_alarm_nor_its_handler() -> None:
    worker, handler = os.getpid(), signal.getsignal(signal.SIGALRM)
    children: list[int] = []

    def fork() -> None:
        children.append(os.fork())
        if os.getpid() != worker:
            clean = signal.getsignal(signal.SIGALRM) is handler
            clean = clean and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
            os.kill(os.getpid(), signal.SIGALRM)
            time.sleep(3 * LIMIT)
            os._exit(5 if clean else 6)
        time.sleep(30)

    assert error_of(run_limited(fork)) == TIMED_OUT
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 5


class SlowHandler(logging.Handler):
    """Takes its time, and says whether it came to its end."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.written = 0

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(self.seconds)
        self.written += 1


def log_by(handler: logging.Handler) -> None:
    logger = logging.getLogger("app.slow")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        logger.error("told")
        time.sleep(30)
    finally:
        logger.removeHandler(handler)


def test_a_record_of_the_log_is_written_to_its_end() -> None:
    """Else the log's lock could stay taken, and the worker's other threads would wait for it for ever."""
    handler = SlowHandler(3 * LIMIT)
    began = time.monotonic()
    assert error_of(run_limited(lambda: log_by(handler))) == TIMED_OUT
    assert handler.written == 1
    assert 3 * LIMIT <= time.monotonic() - began < 5


def test_a_log_that_hangs_is_interrupted_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_timeout, "PATIENCE", 3)
    handler = SlowHandler(30)
    assert error_of(run_limited(lambda: log_by(handler))) == TIMED_OUT
    assert handler.written == 0


def test_it_is_not_lost_where_python_ignores_exceptions() -> None:
    class Slow:
        def __del__(self) -> None:
            time.sleep(3 * LIMIT)

    def collect() -> None:
        Slow()
        time.sleep(30)

    assert error_of(run_limited(collect)) == TIMED_OUT
