"""Replacing children on purpose, one slot at a time: a rolling restart, and recycling by tasks, memory and age."""

import random
from collections import deque
from collections.abc import Sequence

from .config import Config
from .memory import resident_mib
from .slots import Slot

ROLLED = "rolled"
HOPELESS_BOOTS = 3
JITTER = 0.2
"""A child's limits are up to this share lower than asked for, so that children of one age do not come due together."""


class Rolling:
    """Which slot's child is to be replaced next: only when the last one's successor serves."""

    def __init__(self, config: Config, slots: Sequence[Slot]) -> None:
        self._config = config
        self._slots = deque(slots)
        self._waiting: deque[tuple[Slot, str]] = deque()

    def restart_all(self) -> bool:
        """Line up every slot; False where they are lined up already."""
        if any(reason == ROLLED for _, reason in self._waiting):
            return False
        self._waiting.extend((slot, ROLLED) for slot in self._slots)
        return True

    def next(self, now: float) -> tuple[Slot, str] | None:
        """Return the slot whose child is to be replaced now, and why, if there is one."""
        if not all(map(_is_steady, self._slots)):
            return None
        if self._waiting:
            return self._waiting.popleft()
        for _ in range(len(self._slots)):
            # Behind the one that was looked at last: else the first ones come due again before the others' turn.
            self._slots.rotate(-1)
            if reason := self._is_worn(self._slots[-1], now):
                return self._slots[-1], reason
        return None

    def _is_worn(self, slot: Slot, now: float) -> str:
        config = self._config
        if slot.kind != "worker" or not slot.process:
            return ""
        if config.max_tasks and slot.board.run.number >= config.max_tasks * slot.wear:
            return "recycled:tasks"
        if config.max_age and now - slot.started_at >= config.max_age.total_seconds() * slot.wear:
            return "recycled:age"
        if config.max_memory and resident_mib(slot.pid) >= config.max_memory * slot.wear:
            return "recycled:memory"
        return ""


def _is_steady(slot: Slot) -> bool:
    """Return whether a slot's child serves; one whose children die before they do keeps nobody else waiting."""
    if slot.failed_boots >= HOPELESS_BOOTS:
        return True
    return slot.process is not None and slot.board.has_booted and slot.drain_until is None and not slot.killed


def new_wear() -> float:
    """Return the share of its limits that a new child may use up."""
    return random.uniform(1 - JITTER, 1.0)  # noqa: S311 - spreads restarts, hides nothing
