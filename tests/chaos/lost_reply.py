"""Which reply of the server is to be lost."""

import re
import threading

from tests.chaos.pgwire import Cycle

COMMIT = re.compile(r"\s*(COMMIT|END)\b(?!\s+PREPARED)", re.IGNORECASE)


class Arm:
    """One reply to be lost: the next COMMIT's, or that of the next autocommit statement which contains `match`."""

    def __init__(self, match: str | None) -> None:
        self.match = match
        self.fired = threading.Event()
        self.sql: str | None = None
        self._lock = threading.Lock()
        self._open = True

    @property
    def armed(self) -> bool:
        """Whether it may still fire."""
        return self._open

    def disarm(self) -> bool:
        """End it, and return whether it had not fired."""
        with self._lock:
            was_open, self._open = self._open, False
        return was_open

    def suspects(self, cycle: Cycle) -> bool:
        """Whether the answer to that cycle may be the one."""
        return self._open and self._statement(cycle) is not None

    def claims(self, cycle: Cycle) -> bool:
        """Whether the answer to that cycle is the one, which it is only once."""
        sql = self._statement(cycle)
        done = cycle.committed and (self.match is not None or "COMMIT" in cycle.tags)
        if sql is None or not done or not self.disarm():
            return False
        self.sql = sql
        return True

    def _statement(self, cycle: Cycle) -> str | None:
        match = self.match
        fits = (lambda sql: match in sql) if match is not None else COMMIT.match
        return next(filter(fits, cycle.statements), None)
