"""What the command line said, checked as a whole before anything starts."""

import os
from dataclasses import dataclass
from datetime import timedelta

from pgsupervise.partitions.buckets import BUCKETS

from . import memory

LAST_WORDS = timedelta(seconds=5)
"""How long keeper and exporter may take to end when the workers have drained."""
_LONGEST = timedelta(days=366)


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
    max_tasks: int | None = None
    """A worker is replaced when it has run so many tasks; None for no limit, here and below."""
    max_memory: int | None = None
    """Or when it holds so much memory, in MiB."""
    max_age: timedelta | None = None
    """Or when it is so old."""
    grace_period: timedelta | None = None
    """What the platform allows from TERM to KILL (terminationGracePeriodSeconds), where it is known."""

    @property
    def workers(self) -> int:
        """How many worker processes run."""
        return self.partitions if self.processes is None else self.processes

    @property
    def fence_after(self) -> timedelta:
        """Without a renewal for this long a worker starts nothing more."""
        return self.dead_after * 2 / 3

    @property
    def tick(self) -> timedelta:
        """How often the parent looks at its children."""
        return min(timedelta(seconds=1), self.dead_after / 10)

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
            _positive("--keep-finished", self.keep_finished, timedelta(days=36500)),
            _positive("--max-age", self.max_age),
            _positive("--grace-period", self.grace_period),
            _at_least_one("--max-tasks", self.max_tasks),
            _at_least_one("--max-memory", self.max_memory),
        ]
        if timedelta(0) < self.dead_after < 3 * min(self.beat, _LONGEST):
            faults.append(
                f"--dead-after is {self.dead_after.total_seconds():g} s, less than three beats of "
                f"{self.beat.total_seconds():g} s: a live worker would be taken for dead; raise it or shorten --beat"
            )
        faults.append(self._grace_fault())
        if self.max_memory is not None and not memory.is_told():
            faults.append("--max-memory: this platform does not tell how much memory a process holds: leave it out")
        if not hasattr(os, "fork"):
            faults.append("this platform cannot fork: run pgsupervise on Linux or another Unix")
        return [fault for fault in faults if fault]

    def _grace_fault(self) -> str:
        grace = self.grace_period
        if grace is None or grace <= timedelta(0) or self.drain_timeout <= grace - LAST_WORDS:
            return ""
        drain, least = self.drain_timeout.total_seconds(), LAST_WORDS.total_seconds()
        return (
            f"--drain-timeout is {drain:g} s, and the platform kills after the grace period of "
            f"{grace.total_seconds():g} s: leave {least:g} s between them; lower --drain-timeout, "
            "or raise the platform's limit (terminationGracePeriodSeconds, TimeoutStopSec) and --grace-period"
        )


def _between(option: str, value: int, lowest: int, highest: int) -> str:
    if lowest <= value <= highest:
        return ""
    return f"{option} is {value}: it must be from {lowest} to {highest}"


def _positive(option: str, value: timedelta | None, longest: timedelta = _LONGEST) -> str:
    if value is None or timedelta(0) < value <= longest:
        return ""
    return f"{option} is {value.total_seconds():g} s: it must be more than zero, and at most {longest.days} days"


def _at_least_one(option: str, value: int | None) -> str:
    if value is None or value >= 1:
        return ""
    return f"{option} is {value}: it must be at least 1; leave it out for no limit"
