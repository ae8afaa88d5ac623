"""What a part of the benchmark is to the runner."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.cluster import Cluster
from tests.bench.figures import Sample


class AbsentError(Exception):
    """What is to be measured cannot be had here; the message says why, and the run goes on without it."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a section is given: the servers, a directory for logs and ledgers, one that is kept between runs."""

    cluster: Cluster
    work: Path
    cache: Path
    say: Callable[[str], None]
    """Tell what is going on, in a few words."""
    scale: float = 1.0
    """The share of the tasks to take: less for a trial, whose rates are worse."""


class Section(Protocol):
    """One thing that is measured: a peer, or a curve.

    Sections of one group share the machine's moods: round 1 of each, then round 2 of each, and so on.
    """

    @property
    def name(self) -> str:
        """What `--only` calls it."""

    @property
    def group(self) -> str:
        """Whose rounds are interleaved with its own, and what `--only` calls all of them."""

    @property
    def rounds(self) -> int | None:
        """How many rounds it needs; None for as many as the run was asked for."""

    def prepare(self, bench: Bench) -> None:
        """Install what it needs, once, before anything is timed. Raises AbsentError where that cannot be had."""

    def measure(self, bench: Bench) -> Iterable[Sample]:
        """Measure one round."""
