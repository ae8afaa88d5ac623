"""Which children have to be killed: they are silent, they do not drain, or a task of theirs does not end."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from pgsupervise.partitions.reclaim import CANCELLED, TIMEOUT

from .board import Doom
from .config import Config
from .deadlines import PREPARE_SECONDS, verdict
from .halting import kill_if
from .slots import Slot

OUTAGE_FACTOR = 3
"""A task may run on for so many times-to-dead while nobody of ours reaches the database and nobody else is there."""
BOOT_SECONDS = 20.0
"""A child that boots says so again and again, also while it waits for the database: so long at the most."""
FENCED, CUT_OFF = "fenced", "cut_off"
REASONS = {Doom.TIMEOUT: TIMEOUT, Doom.CANCELLED: CANCELLED}


class Overdue:
    """The parent's eye on its children's time."""

    def __init__(self, config: Config, slots: Sequence[Slot], longest_send: timedelta) -> None:
        self._config = config
        self._prepare_seconds = PREPARE_SECONDS + longest_send.total_seconds()
        self._slots = slots
        self._answering_since: float | None = None

    def silent(self) -> Iterator[tuple[Slot, str]]:
        """Yield the workers and keepers that have been silent for the time-to-dead, and why they are to be killed.

        Silent although others of ours could beat meanwhile (FENCED): it is hung or stopped, perhaps by its task, and
        its buckets and tasks are somebody else's by now. Where nobody of ours can beat, the database is away. If there
        are other supervisors it may be away for us alone, and they take over: what runs a task has to end. If we are
        the only one it is away for all as far as we can tell: then a task may go on for a while longer.
        """
        config = self._config
        # Looked at once a tick, and to be over before the others begin.
        limit = config.dead_after.total_seconds() - config.tick.total_seconds()
        serving = [slot for slot in self._slots if slot.process and slot.kind != "exporter" and slot.board.has_booted]
        answers = self._answers(serving, limit)
        for slot in serving:
            alone = 1 if slot.board.has_peers else OUTAGE_FACTOR
            silent, runs = slot.board.silent_for(), slot.board.running_task is not None
            if silent > limit and answers:
                yield slot, FENCED
            elif runs and silent > alone * limit:
                yield slot, CUT_OFF
        for slot in self._slots:
            if slot.process and not slot.board.has_booted and slot.board.silent_for() > max(limit, BOOT_SECONDS):
                yield slot, "hung_at_boot"

    def _answers(self, serving: Sequence[Slot], limit: float) -> bool:
        """Return whether the database has answered some of ours for as long as a silent one would have had."""
        now = time.monotonic()
        if all(slot.board.silent_for() > self._config.fence_after.total_seconds() for slot in serving):
            self._answering_since = None
        elif self._answering_since is None:
            self._answering_since = now
        return self._answering_since is not None and now - self._answering_since >= limit

    def draining(self) -> Iterator[Slot]:
        """Yield the children whose time to drain is over."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.process and slot.drain_until is not None and now > slot.drain_until:
                yield slot

    def kill_doomed(self) -> Iterator[tuple[Slot, str]]:
        """Kill the workers whose running task must end, and yield them with the reason."""
        for slot in self._slots:
            if slot.kind != "worker" or not slot.process or slot.killed:
                continue
            found = verdict(slot.board, self._prepare_seconds)
            if found and kill_if(slot.pid, partial(self._is_still, slot, found)):
                yield slot, REASONS[found[1]]

    def _is_still(self, slot: Slot, found: tuple[int, Doom]) -> bool:
        return verdict(slot.board, self._prepare_seconds) == found
