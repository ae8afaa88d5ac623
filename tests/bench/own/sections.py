"""Our own sections, in the order of the report."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.bench.figures import Sample
from tests.bench.own import backlog, bystanders, callers, digests, footprint, mail, processes, writes
from tests.bench.own.place import Place
from tests.bench.section import Bench

Measure = Callable[[Place], Iterable[Sample]]

MEASURES: dict[str, Measure] = {
    "callers": callers.measure,
    "backlog": backlog.measure,
    "bystanders": bystanders.measure,
    "workers": processes.measure_workers,
    "chunks": processes.measure_chunks,
    "recipients": digests.measure_recipients,
    "digests": digests.measure_digests,
    "mail": mail.measure,
    "footprint": footprint.measure,
    "writes": writes.measure,
}

OWN = tuple(MEASURES)
"""Their names, in the order of the report."""


@dataclass(frozen=True, slots=True)
class OwnSection:
    """A section that measures pgsupervise alone, once: it takes its medians by itself, where they are cheap."""

    name: str
    measure_in: Measure

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

    def measure(self, bench: Bench) -> Iterable[Sample]:
        """Measure."""
        return self.measure_in(Place(bench))


def own_sections() -> Sequence[OwnSection]:
    """Return a new section of each kind."""
    return [OwnSection(name, measure) for name, measure in MEASURES.items()]
