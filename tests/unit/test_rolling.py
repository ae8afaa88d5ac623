"""Whose turn it is to be replaced."""

import time
from unittest.mock import Mock

import pytest

from pgsupervise.supervisor.board import Board
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.rolling import Rolling
from pgsupervise.supervisor.slots import Slot

WORKERS = 3


@pytest.fixture
def slots() -> list[Slot]:
    board = Board(WORKERS)
    made = [Slot("worker", number, board.row(number), process=Mock(pid=1)) for number in range(WORKERS)]
    for slot in made:
        slot.board.booted()
        slot.board.started(1)
        slot.started_at = time.monotonic()
    return made


def test_where_all_are_due_at_once_each_has_its_turn(slots: list[Slot]) -> None:
    rolling = Rolling(Config(max_tasks=1), slots)
    chosen = [rolling.next(time.monotonic()) for _ in range(2 * WORKERS)]
    assert [(found[0].number, found[1]) for found in chosen if found] == [
        (number, "recycled:tasks") for number in (0, 1, 2, 0, 1, 2)
    ]


def test_nobody_is_replaced_while_another_is_on_its_way_or_being_killed(slots: list[Slot]) -> None:
    rolling = Rolling(Config(max_tasks=1), slots)
    slots[0].killed = True
    assert rolling.next(time.monotonic()) is None
    slots[0].killed, slots[0].drain_until = False, 1.0
    assert rolling.next(time.monotonic()) is None
    slots[0].drain_until, slots[0].process = None, None
    assert rolling.next(time.monotonic()) is None


def test_a_slot_whose_children_never_serve_keeps_nobody_waiting(slots: list[Slot]) -> None:
    rolling = Rolling(Config(max_tasks=1), slots)
    slots[0].process, slots[0].failed_boots = None, 5
    found = rolling.next(time.monotonic())
    assert found
    assert found[0] is not slots[0]


def test_a_second_hang_up_during_a_roll_adds_nothing(slots: list[Slot]) -> None:
    rolling = Rolling(Config(), slots)
    assert rolling.restart_all()
    assert not rolling.restart_all()
    assert [rolling.next(0.0) for _ in range(WORKERS + 1)] == [*((slot, "rolled") for slot in slots), None]
