"""How one enqueued task is to be treated."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .faults import Fault, refuse
from .texts import check_text, shorten
from .times import check_aware

MAX_KEY = 320
SMALLEST, LARGEST = -32768, 32767  # of PostgreSQL's smallint


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """Options of a task; `validated` refuses what the table could not hold."""

    key: str = ""
    priority: int = 0
    run_at: datetime | timedelta | None = None
    max_attempts: int = 5

    def validated(self) -> "TaskOptions":
        """Return these options. Raises TypeError or ValueError, naming the values and the cures."""
        refuse(self.faults())
        return self

    def faults(self) -> list[Fault]:
        """Return all that is wrong, each naming the value and the cure."""
        checks: list[Callable[[], None]] = [
            lambda: check_text(self.key, "key", MAX_KEY),
            lambda: _check_number(self.priority, "priority", SMALLEST, LARGEST),
            lambda: _check_number(self.max_attempts, "max_attempts", 1, LARGEST),
        ]
        if self.run_at is not None and not isinstance(self.run_at, timedelta):
            checks.append(lambda: check_aware(self.run_at, "run_at", "a timedelta from now"))
        found: list[Fault] = []
        for check in checks:
            try:
                check()
            except (TypeError, ValueError) as error:
                found.append(error)
        return found


def _check_number(value: object, what: str, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} is {shorten(value)} ({type(value).__name__}): it must be an int")
    if not least <= value <= most:
        raise ValueError(f"{what} is {value}: it must be between {least} and {most}")
