"""Two supervisors side by side, each behind a proxy of its own, and what restarts them when they end."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from tests.chaos.logs import Log
from tests.chaos.processes import Living, living, send
from tests.chaos.proxy import Proxy
from tests.lifecycle.supervising import Supervised

NAMES = "AB"
PARTITIONS = 4
END_SECONDS = 60.0


@dataclass(slots=True)
class Life:
    """One `pgsupervise` from its start to its end."""

    supervised: Supervised
    log: Log
    started: float
    orphaned: float | None = None
    """Since when its parent is gone while children are left."""
    orphans_gone: float | None = None

    @property
    def instance(self) -> UUID | None:
        """Its id, as soon as it has logged it."""
        line = self.log.first("started")
        return UUID(line["instance"]) if line else None

    @property
    def port(self) -> int | None:
        """Where its exporter listens, as soon as it has logged it."""
        line = self.log.first("started")
        return int(line["metrics_port"]) if line else None

    def members(self) -> list[Living]:
        """Return its processes."""
        return living(self.supervised.pid)


@dataclass(slots=True)
class Member:
    """A supervisor's seat: there is always one in it, as Kubernetes would see to."""

    name: str
    proxy: Proxy
    folder: Path
    options: tuple[str, ...]
    environment: Mapping[str, str]
    lives: list[Life] = field(default_factory=list)

    @property
    def now(self) -> Life:
        """The present supervisor, or the one that has just ended."""
        return self.lives[-1]

    def start(self) -> None:
        """Start a supervisor."""
        supervised = Supervised(
            self.proxy.dsn,
            self.folder,
            *self.options,
            partitions=PARTITIONS,
            settings="tests.chaos.settings",
            environment=self.environment,
        )
        self.lives.append(Life(supervised, Log(supervised.log_path), time.monotonic()))

    def keep_running(self) -> None:
        """Start the next supervisor at once when the last one has ended; watch how long its orphans live."""
        if self.now.supervised.process.poll() is not None:
            self.now.orphaned = time.monotonic()
            self.start()
        for life in self.lives[-4:]:
            if life.orphaned is not None and life.orphans_gone is None and not life.members():
                life.orphans_gone = time.monotonic()

    def children(self, kind: str) -> list[Living]:
        """Return the present supervisor's children of a kind that run."""
        parent = self.now.supervised.pid
        return [
            process
            for process in self.now.members()
            if process.parent == parent and process.role.startswith(kind) and not process.stopped
        ]

    def end(self) -> None:
        """Drain what still runs, and leave nothing behind."""
        process = self.now.supervised.process
        if process.poll() is None:
            send(signal.SIGCONT, *(each.pid for each in self.now.members()))
            process.send_signal(signal.SIGTERM)

    def bury(self) -> None:
        """Wait for the end, then kill what is left of any life: by pid, and only what the kernel shows in its group."""
        deadline = time.monotonic() + END_SECONDS
        while self.now.supervised.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        for life in self.lives:
            send(signal.SIGKILL, *(process.pid for process in life.members()))
            life.supervised.process.wait(END_SECONDS)


@dataclass(slots=True)
class Cluster:
    """The supervisors' seats."""

    members: list[Member]

    def keep_running(self) -> None:
        """See to each seat."""
        for member in self.members:
            member.keep_running()

    def lives(self) -> Iterator[tuple[str, Life]]:
        """Yield each life with the name of its seat."""
        for member in self.members:
            for life in member.lives:
                yield member.name, life

    def names(self) -> dict[UUID, str]:
        """Return the seat of each supervisor by the id that it had."""
        return {life.instance: name for name, life in self.lives() if life.instance}

    def pids(self) -> frozenset[int]:
        """Return all processes that live."""
        return frozenset(process.pid for _, life in self.lives() for process in life.members())


@contextmanager
def cluster(
    dsn: str, folder: Path, *, beat: float, dead_after: float, environment: Mapping[str, str]
) -> Iterator[Cluster]:
    """Run two supervisors; at the end they drain, and nothing is left."""
    options = ("--beat", f"{beat:g}", "--dead-after", f"{dead_after:g}")
    with ExitStack() as stack:
        members = []
        for name in NAMES:
            own = folder / f"{name}-{time.monotonic_ns()}"
            own.mkdir()
            proxy = stack.enter_context(Proxy(dsn))
            members.append(Member(name, proxy, own, options, {**environment, "PYTHONDONTWRITEBYTECODE": "1"}))
        try:
            for member in members:
                member.start()
            yield Cluster(members)
        finally:
            for member in members:
                member.proxy.release()
                if member.lives:
                    member.end()
            for member in members:
                if member.lives:
                    member.bury()


def monotonic_to_wall() -> float:
    """Return how far the machine's wall clock, which the database shares, is ahead of CLOCK_MONOTONIC."""
    return time.time() - time.monotonic()
