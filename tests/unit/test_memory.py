"""What the kernel tells about memory."""

import os
from pathlib import Path

from pgsupervise.supervisor import memory

EVENTS = "low 0\nhigh 0\nmax 12\noom 4\noom_kill {kills}\noom_group_kill 0\n"


def test_each_kill_for_want_of_memory_is_told_once(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text(EVENTS.format(kills=3))
    watch = memory.OutOfMemory(events)
    assert not watch.has_killed(0), "what was before does not count"
    events.write_text(EVENTS.format(kills=5))
    assert [watch.has_killed(10) for _ in range(3)] == [True, True, False]


def test_a_kill_that_was_none_of_ours_is_forgotten(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text(EVENTS.format(kills=0))
    watch = memory.OutOfMemory(events)
    events.write_text(EVENTS.format(kills=1))
    watch.look(10)
    assert not watch.has_killed(60)


def test_where_the_kernel_does_not_tell_nothing_is_claimed(tmp_path: Path) -> None:
    assert not memory.OutOfMemory(tmp_path / "missing").has_killed(0)


def test_memory_that_is_held_is_seen_and_an_ended_process_holds_none() -> None:
    before = memory.resident_mib(os.getpid())
    kept = bytearray(64 * 2**20)
    assert memory.resident_mib(os.getpid()) > before + 48
    del kept
    assert memory.resident_mib(2**22 + 1) == 0.0
