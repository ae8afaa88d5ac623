"""The supervisor's numbered seats: a slot outlives the children that sit in it."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from .board import BoardRow
from .exits import ExitCode, describe

SHORT_LIFE_SECONDS = 10.0
"""A child that lived longer than this is restarted without a wait."""
FIRST_RESTART_SECONDS = 0.1
LONGEST_RESTART_SECONDS = 2.0
"""For a child that had served: what killed it (memory, a task, a person) may be over."""
LONGEST_BOOT_RETRY_SECONDS = 30.0
"""For one that never did."""

fork = multiprocessing.get_context("fork")
"""Forking is the point: the project is imported once, and its pages are shared by all children."""


@dataclass(slots=True)
class Slot:
    """One seat, and the child in it if there is one."""

    kind: str
    number: int
    board: BoardRow
    process: BaseProcess | None = None
    started_at: float = 0.0
    start_at: float | None = 0.0
    """When the next child is due; None while one lives, and when none is wanted."""
    short_lives: int = 0
    failed_boots: int = 0
    """How many children in a row ended before they served."""
    drain_until: float | None = None
    """When a child that is being replaced must have ended."""
    ended_for: str = ""
    """Why the parent told the child to end, or killed it: what waitpid tells is only the signal."""
    killed: bool = False
    """Whether it has been sent SIGKILL."""
    wear: float = 1.0
    """The share of its limits that this child may use up until it is recycled."""

    @property
    def name(self) -> str:
        """The slot's name, as it stands in logs, metrics and `ps`."""
        return f"{self.kind}-{self.number}"

    @property
    def pid(self) -> int:
        """The child's pid, 0 where there is none."""
        return self.process.pid or 0 if self.process else 0

    def end_reason(self, code: int) -> str:
        """Return why the child ended with this code: by our will, or of something else before it could obey."""
        return self.ended_for if self.ended_for and (self.killed or code == ExitCode.OK) else describe(code)

    def is_due(self, now: float) -> bool:
        """Return whether a child should be started now."""
        return self.process is None and self.start_at is not None and now >= self.start_at

    def schedule_restart(self, now: float) -> float:
        """Plan the next child and return the seconds until then: at once, or with backoff for one that dies young."""
        self.failed_boots = 0 if self.board.has_booted else self.failed_boots + 1
        if now - self.started_at >= SHORT_LIFE_SECONDS or self.drain_until is not None:
            self.short_lives = 0
            delay = 0.0
        else:
            self.short_lives += 1
            longest = LONGEST_RESTART_SECONDS if self.board.has_booted else LONGEST_BOOT_RETRY_SECONDS
            delay = min(longest, FIRST_RESTART_SECONDS * 2.0 ** min(self.short_lives - 1, 63))
        self.start_at = now + delay
        return delay
