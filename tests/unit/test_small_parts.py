"""Exit reasons, the board, the pace, the slots' restarts and the log lines."""

import io
import logging
import os
import signal
from datetime import timedelta
from uuid import uuid4

import pytest

from pgsupervise.supervisor import logs
from pgsupervise.supervisor.board import Board
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.exits import ExitCode, describe
from pgsupervise.supervisor.pace import LARGEST_CHUNK, Pace
from pgsupervise.supervisor.signals import SignalInbox, blocked
from pgsupervise.supervisor.slots import LONGEST_BOOT_RETRY_SECONDS, LONGEST_RESTART_SECONDS, Slot


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0, "clean"),
        (1, "error"),
        (77, "exit:77"),
        (-9, "signal:SIGKILL"),
        (-11, "signal:SIGSEGV"),
        (-35, "signal:35"),
        (int(ExitCode.CANNOT_BOOT), "cannot_boot"),
        (int(ExitCode.FENCED), "fenced"),
    ],
)
def test_an_exit_status_is_told_in_a_bounded_set_of_words(status: int, reason: str) -> None:
    assert describe(status) == reason


def test_the_board_shows_the_parent_what_a_killed_child_was_running() -> None:
    board = Board(2)
    row, instance = board.row(1), uuid4()
    pid = os.fork()
    if not pid:
        row.instance = instance
        row.booted()
        row.started(42)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (row.instance, row.has_booted, row.running_task) == (instance, True, 42)
    assert board.row(0).running_task is None
    row.clear()
    assert (row.instance, row.has_booted, row.running_task) == (None, False, None)


def test_the_board_measures_silence_only_after_the_first_beat() -> None:
    row = Board(1).row(0)
    assert row.silent_for() == 0
    row.beat(1e-3)
    assert row.silent_for() > 0


def test_short_tasks_are_claimed_many_at_a_time_and_long_ones_alone() -> None:
    pace = Pace()
    for _ in range(200):
        pace.ran("quick", 0.0001)
    assert pace.chunk == LARGEST_CHUNK
    assert not pace.is_slow("quick")
    assert pace.is_slow("never seen")
    for _ in range(200):
        pace.ran("slow", 3.0)
    assert pace.chunk == 1
    assert pace.is_slow("slow")


def test_a_child_that_dies_young_again_and_again_waits_ever_longer() -> None:
    slot = Slot("worker", 0, Board(1).row(0))
    delays = []
    for _ in range(2000):
        slot.started_at = 1000.0
        delays.append(slot.schedule_restart(1001.0))
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == LONGEST_BOOT_RETRY_SECONDS
    slot.board.booted()
    assert slot.schedule_restart(1001.0) == LONGEST_RESTART_SECONDS, "it had served: it is needed again soon"
    assert slot.schedule_restart(2000.0) == 0.0  # it had lived long: no wait
    assert slot.is_due(2000.0)


def test_signals_are_recorded_and_wake_a_waiting_loop() -> None:
    inbox = SignalInbox(signal.SIGUSR1)
    inbox.open()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        inbox.wait(30)
        assert list(inbox.take()) == [signal.SIGUSR1]
        inbox.wake()
        inbox.wait(30)
        assert list(inbox.take()) == []
    finally:
        inbox.close()


def test_a_blocked_signal_arrives_after_the_block() -> None:
    inbox = SignalInbox(signal.SIGUSR1)
    inbox.open()
    try:
        with blocked(signal.SIGUSR1):
            signal.raise_signal(signal.SIGUSR1)  # to this thread: another one would take what this one holds back
            assert list(inbox.take()) == []
        assert list(inbox.take()) == [signal.SIGUSR1]
    finally:
        inbox.close()


def test_all_faults_of_a_configuration_are_told_at_once_with_value_and_cure() -> None:
    faulty = Config(
        partitions=257, processes=0, metrics_port=70000, beat=timedelta(0), drain_timeout=timedelta(seconds=-1)
    )
    text = "\n".join(faulty.problems())
    for part in ("--partitions is 257", "--processes is 0", "--metrics-port is 70000", "--beat is 0 s", "-1 s"):
        assert part in text
    assert Config().problems() == []


def test_time_to_dead_below_three_beats_is_refused() -> None:
    (problem,) = Config(beat=timedelta(seconds=4), dead_after=timedelta(seconds=10)).problems()
    assert "10 s" in problem
    assert "raise it" in problem


def test_log_lines_are_pairs_that_a_value_cannot_break() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.KeyValueFormatter())
    logger = logging.getLogger("tests.log_lines")
    logger.propagate = False
    logger.addHandler(handler)
    logger.warning("child ended", extra={"fields": {"reason": 'a "quoted"\nlevel=critical', "pid": 7}})
    (line,) = stream.getvalue().splitlines()
    assert ' slot=supervisor event="child ended" reason="a \\"quoted\\"\\nlevel=critical" pid=7' in line
