"""Samples of our own sections: a case, which is a point of a curve, stands where others have the name of a peer."""

from typing import Protocol

from tests.bench.figures import Sample


class MakeSample(Protocol):
    """Makes the samples of one section."""

    def __call__(self, case: str, figure: str, value: float, unit: str, *, more_is_better: bool = True) -> Sample:
        """Return a sample."""


def samples_of(section: str) -> MakeSample:
    """Return what makes a section's samples."""

    def make(case: str, figure: str, value: float, unit: str, *, more_is_better: bool = True) -> Sample:
        return Sample(section, case, figure, value, unit, more_is_better)

    return make
