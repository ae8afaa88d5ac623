"""Breaks the parent from within, soon after it has forked: on the Python path of one test's supervisor only."""

import os
import sys

if "pgsupervise.supervisor" in sys.orig_argv:
    from pgsupervise.supervisor.supervisor import Supervisor

    def fail(self: Supervisor) -> None:
        """Fail as a fault of ours would."""
        if all(slot.board.has_booted for slot in self.slots):
            raise RuntimeError(f"a fault in process {os.getpid()}")

    Supervisor.roll_on = fail  # type: ignore[method-assign]  # that is the fault
