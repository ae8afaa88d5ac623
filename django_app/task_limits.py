"""How long a task may run, and what becomes of one that runs for longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from .faults import Fault
from .texts import shorten

OnTimeout = Literal["retry", "dead"]
LONGEST = timedelta(days=30)
NONE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """Limits of a task's run; None is no limit.

    `soft_timeout` raises SoftTimeoutError in the task; `hard_timeout` kills its process, and then `on_timeout` says
    whether the task may be tried again ("retry", also by default) or is DEAD at once ("dead").
    """

    soft_timeout: timedelta | None = None
    hard_timeout: timedelta | None = None
    on_timeout: OnTimeout | None = None

    @property
    def retry_timeout(self) -> bool:
        """Whether a task that reached its hard timeout may be tried again."""
        return self.on_timeout != "dead"

    def faults(self) -> list[Fault]:
        """Return all that is wrong, each naming the value and the cure."""
        found = [*_length_faults(self.soft_timeout, "soft_timeout"), *_length_faults(self.hard_timeout, "hard_timeout")]
        soft, hard = self.soft_timeout, self.hard_timeout
        if isinstance(soft, timedelta) and isinstance(hard, timedelta) and soft >= hard:
            cure = "make the soft one shorter, so that the task has time to clean up before it is killed"
            found.append(ValueError(f"soft_timeout is {soft} and hard_timeout is {hard}: {cure}"))
        return [*found, *self._on_timeout_faults()]

    def _on_timeout_faults(self) -> Sequence[Fault]:
        given: object = self.on_timeout
        if given is None:
            return ()
        if given not in ("retry", "dead"):
            kind = ValueError if isinstance(given, str) else TypeError
            return (kind(f"on_timeout is {shorten(given)}: it must be 'retry' or 'dead'"),)
        if self.hard_timeout is None:
            cure = "give one too, or leave on_timeout out"
            return (ValueError(f"on_timeout is {given!r}, but it is about a hard_timeout and there is none: {cure}"),)
        return ()


def _length_faults(value: object, what: str) -> Sequence[Fault]:
    if value is None:
        return ()
    if not isinstance(value, timedelta):
        cure = "it must be a timedelta, such as timedelta(seconds=30), or None for no limit"
        return (TypeError(f"{what} is {shorten(value)} ({type(value).__name__}): {cure}"),)
    if value <= NONE:
        return (ValueError(f"{what} is {value}: it must be longer than zero; None is no limit"),)
    if value > LONGEST:
        return (ValueError(f"{what} is {value}: it must be at most {LONGEST.days} days; None is no limit"),)
    return ()
