"""What pgsupervise promises of itself, and whether a run bears it out."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Collected, Figure


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of one figure: its least value where more is better, its largest where less is."""

    section: str
    case: str
    figure: str
    limit: float

    def reached(self, figure: Figure) -> bool:
        """Return whether a figure keeps within it."""
        return figure.median >= self.limit if figure.more_is_better else figure.median <= self.limit


TARGETS = (
    Target("callers", "enqueue()", "of a bare INSERT", 0.9),
    Target("callers", "notify()", "of a bare INSERT", 0.9),
    Target("callers", "notify(), one hot recipient", "of many recipients", 0.95),
    Target("callers", "enqueue_many()", "rows", 100_000),
    Target("callers", "notify_many()", "rows", 100_000),
    Target("callers", "eight enqueuers", "of bare INSERTs", 0.85),
    Target("callers", "eight notifiers of one recipient", "of many recipients", 0.95),
    Target("backlog", "1,000,000 ready", "of its own start with 10,000", 0.9),
    Target("bystanders", "200,000 scheduled ahead", "of the drain without", 0.9),
    Target("bystanders", "5,000,000 finished rows", "of the drain without", 0.9),
    Target("bystanders", "an idle REPEATABLE READ session", "of the first tenth", 0.85),
    Target("digests", "of 5 items", "fold", 60_000),
    Target("digests", "of 5 items", "seal", 30_000),
    Target("mail", "digests", "of the bare client", 0.9),
    Target("footprint", "each further worker", "PSS of all processes", 20),
    Target("footprint", "8 idle workers", "their own CPU", 3),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of ours, and its target where there is one."""

    figure: Figure
    target: Target | None

    @property
    def verdict(self) -> str:
        """Whether the target is reached; nothing where there is none."""
        if self.target is None:
            return ""
        return "reached" if self.target.reached(self.figure) else "MISSED"


def lines(collected: Collected, section: str) -> Iterator[Line]:
    """Yield the figures of one of our sections beside their targets, in the order in which they were measured."""
    known = {(target.section, target.case, target.figure): target for target in TARGETS}
    for figure in collected.figures(section):
        yield Line(figure, known.get((figure.section, figure.who, figure.figure)))
