"""What was measured: samples as they come, and what is said of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one round."""

    section: str
    who: str
    figure: str
    value: float
    unit: str
    more_is_better: bool = True
    version: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """The values of all rounds of one figure."""

    section: str
    who: str
    figure: str
    unit: str
    more_is_better: bool
    version: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value; of an even number of rounds the mean of the two in the middle."""
        return median(self.values)

    @property
    def least(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest value."""
        return max(self.values)


@dataclass(slots=True)
class Collected:
    """All samples of a run, and who could not be measured and why."""

    samples: list[Sample] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, samples: Iterable[Sample]) -> None:
        """Keep the samples of a round."""
        self.samples.extend(samples)

    def figures(self, section: str | None = None) -> Iterator[Figure]:
        """Yield each figure, in the order in which it was first seen; of one section only, if it is named."""
        groups: dict[tuple[str, str, str], list[Sample]] = {}
        for sample in self.samples:
            if section in (None, sample.section):
                groups.setdefault((sample.section, sample.who, sample.figure), []).append(sample)
        for (of_section, who, figure), group in groups.items():
            last = group[-1]
            values = tuple(sample.value for sample in group)
            yield Figure(of_section, who, figure, last.unit, last.more_is_better, last.version, values)

    def find(self, who: str, figure: str) -> Figure | None:
        """Return one figure, or None where it was not measured."""
        return next((each for each in self.figures() if (each.who, each.figure) == (who, figure)), None)

    def sections(self) -> list[str]:
        """Return the sections' names in the order in which they were first seen."""
        return list(dict.fromkeys(sample.section for sample in self.samples))
