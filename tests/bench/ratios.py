"""What the project promises of itself beside others, and whether this run bears it out."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Collected

OURS = "pgsupervise"
DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Goal:
    """Our figure is to be at least so many times another's."""

    other: str
    at_least: float
    figure: str = DRAIN


@dataclass(frozen=True, slots=True)
class Ratio:
    """A goal beside what was measured: the quotient of two medians."""

    goal: Goal
    value: float

    @property
    def reached(self) -> bool:
        """Whether it is what was promised."""
        return self.value >= self.goal.at_least


GOALS = (
    Goal("graphile-local", 1.1),
    Goal("pgqueuer", 1.7),
    Goal("celery-prefork", 45),
    Goal("django-tasks-db", 60),
)


def ratios(collected: Collected, goals: tuple[Goal, ...] = GOALS) -> Iterator[Ratio]:
    """Yield each goal of which both sides were measured."""
    for goal in goals:
        ours, other = collected.find(OURS, goal.figure), collected.find(goal.other, goal.figure)
        if ours and other and other.median > 0:
            yield Ratio(goal, ours.median / other.median)
