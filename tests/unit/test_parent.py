"""The parent's own duties that no database is needed for."""

import ctypes
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import Mock
from uuid import uuid4

import pytest

from pgsupervise.supervisor.adopted import reap_adopted
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.deaths import REMEMBERED
from pgsupervise.supervisor.slots import fork
from pgsupervise.supervisor.supervisor import Supervisor

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def parent() -> Iterator[Supervisor]:
    with socket.socket() as listener:
        yield Supervisor(Config(partitions=2), Mock(longest_send=timedelta(seconds=1), channels={}), listener)


def test_a_fork_that_fails_is_tried_again_later(parent: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(process: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(fork.Process, "start", fail)
    parent.start_due_slots()
    assert all(slot.process is None for slot in parent.slots)
    assert all(slot.start_at is not None and slot.start_at > time.monotonic() - 1 for slot in parent.slots)
    parent.inbox.open()
    parent.inbox.close()


def test_a_keeper_that_reads_nothing_does_not_make_the_parent_wait(parent: Supervisor) -> None:
    reader = parent.deaths.new_pipe()
    slot = parent.slots[0]
    for _ in range(5000):
        slot.board.instance = uuid4()
        parent.deaths.record(slot, "signal:SIGKILL")
    told = 0
    while reader.poll():
        reader.recv_bytes()
        told += 1
        parent.deaths.tell()
    assert told == 5000
    reader.close()
    successor = parent.deaths.new_pipe()
    parent.deaths.tell()
    again = 0
    while successor.poll():
        successor.recv_bytes()
        again += 1
        parent.deaths.tell()
    assert again == REMEMBERED
    successor.close()
    assert parent.deaths.pipe is not None
    parent.deaths.pipe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans without being process 1")
def test_adopted_orphans_are_reaped_and_our_own_children_are_not() -> None:
    pid = os.fork()
    if not pid:
        os._exit(_adopt_and_reap())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _adopt_and_reap() -> int:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    middle = os.fork()
    if not middle:
        if not os.fork():
            os._exit(0)  # the orphan
        os._exit(7)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        reap_adopted({middle})
        if os.waitid(os.P_PID, middle, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.01)
    if os.waitstatus_to_exitcode(os.waitpid(middle, 0)[1]) != 7:
        return 1  # our own child's status was taken from us
    while time.monotonic() < deadline:
        reap_adopted(set())
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 0  # nobody is left
        time.sleep(0.01)
    return 2
