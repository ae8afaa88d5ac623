"""Ends a wait for the supervisor that would have no end."""

import time
from collections.abc import Callable

from .processes import SupervisorProcess

POLL_SECONDS = 0.2
STALL_SECONDS = 60.0
"""Longer than any pause that heals: a dead worker's leases, a restart's backoff."""


class Stalled(Exception):  # noqa: N818 - named for what happened
    """Nothing moves any more; the text says what is left, and ends with the supervisor's log."""


class Watch:
    """Ends a wait for the supervisor when it has died, or when nothing has changed for a long while."""

    def __init__(self, supervisor: SupervisorProcess) -> None:
        self._supervisor = supervisor
        self._last: object = None
        self._changed_at = time.monotonic()

    def check(self, state: object) -> None:
        """Take note of the state. Raises Stalled."""
        now = time.monotonic()
        if state != self._last:
            self._last, self._changed_at = state, now
        if (code := self._supervisor.exit_code()) is not None:
            raise Stalled(self._told(f"the supervisor has ended with exit code {code}"))
        if now - self._changed_at >= STALL_SECONDS:
            raise Stalled(self._told(f"nothing has changed for {STALL_SECONDS:g} seconds: {state} left"))

    def wait(self, look: Callable[[], object]) -> None:
        """Wait until `look` returns something false."""
        while state := look():
            self.check(state)
            time.sleep(POLL_SECONDS)

    def _told(self, reason: str) -> str:
        return f"{reason}\nThe end of the supervisor's log:\n{self._supervisor.log_tail()}"
