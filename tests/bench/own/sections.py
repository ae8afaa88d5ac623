"""Our own sections, in the order of the report."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from subprocess import SubprocessError

from tests.bench.figures import Sample
from tests.bench.own import backlog, bystanders, callers, digests, footprint, mail, processes, writes
from tests.bench.own.place import Place
from tests.bench.own.tally import TallyError
from tests.bench.section import AbsentError, Bench

Measure = Callable[[Place], Iterable[Sample]]

# Those with promises first: when the time is over, the others are left out.
MEASURES: dict[str, Measure] = {
    "callers": callers.measure,
    "footprint": footprint.measure,
    "digests": digests.measure_digests,
    "mail": mail.measure,
    "bystanders": bystanders.measure,
    "backlog": backlog.measure,
    "writes": writes.measure,
    "workers": processes.measure_workers,
    "chunks": processes.measure_chunks,
    "recipients": digests.measure_recipients,
}
OWN = tuple(MEASURES)
"""Their names, in the order of the report."""
BUDGET_SECONDS = 12 * 60.0
"""No section begins after this: a busy machine, or a slow change, must not make the run endless."""
FAILURES = (TallyError, AssertionError, RuntimeError, SubprocessError)
"""Sums that are wrong, what was waited for in vain, programs that failed."""


class Budget:
    """The time of all our sections together, from the first one's beginning."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None

    def is_spent(self) -> bool:
        """Return whether the time is over; the first question starts it."""
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        return time.monotonic() >= self._until


@dataclass(frozen=True, slots=True)
class OwnSection:
    """A section that measures pgsupervise alone, once: it takes its medians by itself, where they are cheap."""

    name: str
    measure_in: Measure
    budget: Budget

    @property
    def group(self) -> str:
        """What `--only` calls all of them."""
        return "own"

    @property
    def rounds(self) -> int:
        """One, whatever the run was asked for."""
        return 1

    def prepare(self, bench: Bench) -> None:
        """Nothing is to be installed."""

    def measure(self, bench: Bench) -> Iterator[Sample]:
        """Measure. Raises AbsentError when the time of our sections is over, or when what has run does not add up."""
        if self.budget.is_spent():
            raise AbsentError(f"the {BUDGET_SECONDS:g} s of our own sections were over before it began")
        try:
            yield from self.measure_in(Place(bench))
        except FAILURES as error:  # the other sections go on
            raise AbsentError(f"{type(error).__name__}: {error}") from error


def own_sections(seconds: float = BUDGET_SECONDS) -> Sequence[OwnSection]:
    """Return a new section of each kind; they have so much time together."""
    budget = Budget(seconds)
    return [OwnSection(name, measure, budget) for name, measure in MEASURES.items()]
