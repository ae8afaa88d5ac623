"""What the project promises of itself beside others, and whether this run bears it out."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Collected

OURS = "pgsupervise"
DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Goal:
    """Our figure is to be so many times another's, or so much by itself where `other` is empty.

    At least, or at most where less is better.
    """

    other: str
    limit: float
    figure: str = DRAIN


@dataclass(frozen=True, slots=True)
class Ratio:
    """A goal beside what was measured: the quotient of two medians, or our median alone."""

    goal: Goal
    value: float
    more_is_better: bool = True

    @property
    def reached(self) -> bool:
        """Whether it is what was promised."""
        return self.value >= self.goal.limit if self.more_is_better else self.value <= self.goal.limit


ON_POSTGRESQL = (
    "graphile-local",
    "graphile-default",
    "pgqueuer",
    "chancy",
    "oban",
    "procrastinate",
    "django-ox",
    "django-tasks-db",
)
GOALS = (
    Goal("", 50_000),
    Goal("graphile-local", 1.1),
    Goal("pgqueuer", 1.7),
    Goal("celery-prefork", 45),
    Goal("django-tasks-db", 60),
    *(Goal(other, 1.0, "pick-up p50") for other in ON_POSTGRESQL),
    Goal("", 5.0, "pick-up p99"),
)


def ratios(collected: Collected, goals: tuple[Goal, ...] = GOALS) -> Iterator[Ratio]:
    """Yield each goal of which both sides were measured."""
    for goal in goals:
        ours = collected.find(OURS, goal.figure)
        if ours and not goal.other:
            yield Ratio(goal, ours.median, ours.more_is_better)
        elif ours and (other := collected.find(goal.other, goal.figure)) and other.median > 0:
            yield Ratio(goal, ours.median / other.median, ours.more_is_better)
