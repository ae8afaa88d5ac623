"""What the command line said, checked as a whole before anything starts."""

import os
from dataclasses import dataclass
from datetime import timedelta

from pgsupervise.partitions.buckets import BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one supervisor. Nothing below the command line reads the environment."""

    partitions: int = 8
    processes: int | None = None
    """Workers; None means one a partition."""
    settings: str | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464
    """0 takes any free port, which the log then names."""
    drain_timeout: timedelta = timedelta(seconds=25)
    beat: timedelta = timedelta(seconds=2)
    dead_after: timedelta = timedelta(seconds=10)
    senders: int = 4
    poll: timedelta = timedelta(milliseconds=100)
    keep_finished: timedelta = timedelta(days=14)

    @property
    def workers(self) -> int:
        """How many worker processes run."""
        return self.partitions if self.processes is None else self.processes

    @property
    def fence_after(self) -> timedelta:
        """Without a renewal for this long a worker starts nothing more."""
        return self.dead_after * 2 / 3

    def problems(self) -> list[str]:
        """Return every fault, one line each, naming the value and the cure."""
        faults = [
            _between("--partitions", self.partitions, 1, BUCKETS),
            "" if self.processes is None else _between("--processes", self.processes, 1, BUCKETS),
            _between("--metrics-port", self.metrics_port, 0, 65535),
            _between("--senders", self.senders, 1, 64),
            _positive("--drain-timeout", self.drain_timeout),
            _positive("--beat", self.beat),
            _positive("--dead-after", self.dead_after),
            _positive("--poll", self.poll),
            _positive("--keep-finished", self.keep_finished),
        ]
        if self.dead_after < 3 * self.beat:
            faults.append(
                f"--dead-after is {self.dead_after.total_seconds():g} s, less than three beats of "
                f"{self.beat.total_seconds():g} s: a live worker would be taken for dead; raise it or shorten --beat"
            )
        if not hasattr(os, "fork"):
            faults.append("this platform cannot fork: run pgsupervise on Linux or another Unix")
        return [fault for fault in faults if fault]


def _between(option: str, value: int, lowest: int, highest: int) -> str:
    if lowest <= value <= highest:
        return ""
    return f"{option} is {value}: it must be from {lowest} to {highest}"


def _positive(option: str, value: timedelta) -> str:
    return "" if value > timedelta(0) else f"{option} is {value.total_seconds():g} s: it must be more than zero"
