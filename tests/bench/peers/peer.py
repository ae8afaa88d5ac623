"""What there is to say about a peer before it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

INSIDE = Path(__file__).parent / "inside"
"""The files that run inside the peers' environments: a folder a peer, and `common` on everybody's path."""


class Environment(Protocol):
    """Where a peer's programs are installed."""

    def prepare(self, cache: Path) -> None:
        """Install it once, under a directory that is kept. Raises AbsentError."""

    def program(self, name: str) -> str:
        """Return where one of its programs is; "python" or "node" among them."""

    def variables(self) -> Mapping[str, str]:
        """Return what its processes need in their environment to find what is installed."""

    def version(self) -> str:
        """Return the installed version of what is measured."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue at its best known setting."""

    name: str
    environment: Environment
    folder: str
    """Below `inside`; the file in `producer` there sets up, and enqueues in bulk, singly, and steadily."""
    workers: tuple[tuple[str, ...], ...]
    """Commands that together make two worker processes."""
    producer: tuple[str, ...] = ("python", "produce.py")
    bulk: int = 100_000
    """Tasks to drain; fewer for a slow peer: enough for some seconds."""
    single: int = 1_000
    needs_redis: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that its files read."""
