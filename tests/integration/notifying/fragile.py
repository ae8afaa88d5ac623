"""A connection between whose statements something happens: its session's end, or whatever a test wants."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import psycopg

TERMINATE = "SELECT pg_terminate_backend(%s, 10000)"


class Trouble(NamedTuple):
    """What happens before a statement of a transaction; both are counted from the beginning of a turn."""

    transaction: int
    statement: int
    what: Callable[[], object]


class Fragile(psycopg.Connection[tuple[Any, ...]]):
    """Counts what it is asked for. Troubles happen once each, also where a transaction has fewer statements."""

    troubles: list[Trouble]
    place = (0, 0)

    def expect(self, troubles: Iterable[Trouble]) -> None:
        """Count from here, and let these happen."""
        self.troubles, self.place = sorted(troubles, key=lambda trouble: trouble[:2]), (0, 0)

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """Execute a statement, after what is to happen before it."""
        begins = isinstance(query, str) and query.startswith("BEGIN")
        ends = isinstance(query, str) and query.startswith("COMMIT")
        self.place = (self.place[0] + 1, 0) if begins else (self.place[0], self.place[1] + 1)
        # What is not reached within its transaction happens at the end of that, and before no other than its own.
        while self.troubles and (self.troubles[0][:2] <= self.place or (ends and self.troubles[0][0] == self.place[0])):
            self.troubles.pop(0).what()
        return super().execute(query, *args, **kwargs)


def end_session(control: psycopg.Connection, victim: psycopg.Connection) -> None:
    """End a session, and return when it is gone with its locks: as the server sees a process that was killed."""
    row = control.execute(TERMINATE, [victim.info.backend_pid]).fetchone()
    assert row == (True,)
