"""Every counter and histogram that pgsupervise keeps. Gauges are read from the tables, see `tables.py`.

Labels are bounded: names of code (tasks, policies, channels) and words of ours, never a recipient or an id.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from . import store

Instrument = TypeVar("Instrument", bound=MetricWrapperBase)

TaskEnd = Literal["done", "retried", "dead"]
SendEnd = Literal["accepted", "not_sent", "refused", "paused", "forbidden", "unknown", "skipped"]
Write = Literal["finish", "release", "flush", "delivery", "beat"]
Claim = Literal["task", "delivery"]
Cause = Literal["exit", "silence", "lost_reply"]
LeaseChange = Literal["acquired", "released", "lost"]
HowSettled = Literal["proven", "resent", "held"]
Held = Literal["copies", "hour"]
Unusable = Literal["missing", "bad", "zone", "wish"]

# Beyond this many, a metric's new label values are counted as "other": a label that somebody fills with ids by
# mistake must not fill the disk and the memory of Prometheus.
MOST_SERIES = 500

TASK_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800)
SEND_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
DIGEST_ITEMS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


_made: dict[Path | None, "Instruments"] = {}
_making = threading.Lock()


class ChunkHistogram(Histogram):
    """A histogram that takes a chunk's observations at once: a write per filled bucket, not two per observation."""

    def observe_many(self, amounts: Sequence[float]) -> None:
        """Observe all the amounts."""
        counts: dict[int, int] = {}
        for amount in amounts:
            place = bisect_left(self._upper_bounds, amount)
            counts[place] = counts.get(place, 0) + 1
        self._sum.inc(sum(amounts))
        for place, count in counts.items():
            self._buckets[place].inc(count)


class Instruments:
    """The instruments, made once for each place where counts may live."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._children: dict[tuple[str, ...], MetricWrapperBase] = {}
        self._series: dict[str, int] = {}

        self.tasks_finished = self._counter("tasks_finished", "Task runs by how they ended", "name", "outcome")
        self.task_duration = self._histogram("task_duration_seconds", "How long task runs took", TASK_SECONDS, "name")
        self.tasks_claimed = self._counter("tasks_claimed", "Tasks taken from the table to be run")
        self.tasks_unknown = self._counter("tasks_unknown", "Tasks seen whose name this project does not register")
        self.events_folded = self._counter("events_folded", "Events put into their batches", "policy")
        self.window_fallbacks = self._counter(
            "window_fallbacks", "Windows made without what an event or a recipient should have said", "policy", "reason"
        )
        self.batches_sealed = self._counter("batches_sealed", "Batches closed and frozen for sending", "policy")
        self.batches_withheld = self._counter("batches_withheld", "Batches without a message", "policy", "reason")
        self.events_left_out = self._counter("events_left_out", "Events that are in no message", "policy", "reason")
        self.digest_items = self._histogram("digest_items", "Items of a sealed batch", DIGEST_ITEMS)
        self.render_failures = self._counter("render_failures", "Batches whose template failed", "policy")
        self._make_those_of_sending()
        self.stale_writes = self._counter("stale_writes", "Writes dropped: the row had a new owner", "write")
        self.reclaims = self._counter("reclaims", "Claims taken back from a worker, by why", "what", "cause")
        self.lease_changes = self._counter("lease_changes", "Buckets acquired, released and lost", "change")
        self.beats = self._counter("beats", "Heartbeats written")
        self.beat_failures = self._counter("beat_failures", "Heartbeats that could not be written")
        self.restarts = self._counter("restarts", "Children that ended and were replaced", "kind", "reason")
        self.database_errors = self._counter("database_errors", "Database errors that a loop survived", "loop")
        self._start_from_zero()

    def _make_those_of_sending(self) -> None:
        self.deliveries_finished = self._counter(
            "deliveries_finished", "Sending attempts by what is known about them", "channel", "outcome"
        )
        self.delivery_duration = self._histogram(
            "delivery_duration_seconds", "How long sending attempts took", SEND_SECONDS, "channel"
        )
        self.provider_events = self._counter(
            "provider_events", "What providers told of messages that they took", "kind"
        )
        self.unknown_settled = self._counter(
            "unknown_settled", "Deliveries of unknown fate by what became of them", "policy", "how"
        )
        self.duplicates = self._counter("duplicates", "Messages that a provider took more than once", "policy")
        self.deliveries_resent = self._counter(
            "deliveries_resent", "Messages sent again that may have gone out before: possible duplicates", "channel"
        )
        self.deliveries_held = self._counter(
            "deliveries_held", "Messages held by the duplicate breaker", "channel", "reason"
        )
        self.channel_pauses = self._counter("channel_pauses", "Pauses of channels found out here", "channel")

    def child(self, metric: Instrument, *labels: str) -> Instrument:
        """Return the series of a metric with these label values, from a cache that costs a tenth of `labels()`."""
        key = (metric._name, *labels)
        found = self._children.get(key)
        if found is None:
            series = self._series.get(metric._name, 0)
            if series >= MOST_SERIES:
                return metric.labels(*["other"] * len(labels))
            self._series[metric._name] = series + 1
            found = self._children[key] = metric.labels(*labels)
        return found  # type: ignore[return-value]  # the key holds the metric's name, so the child is of its kind

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> ChunkHistogram:
        return ChunkHistogram(f"pgsupervise_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"pgsupervise_{name}_total", text, labels, registry=self.registry)

    def _start_from_zero(self) -> None:
        """Make the series that we know of: Prometheus sees no increase in one that appears with its first count."""
        for write in get_args(Write):
            self.child(self.stale_writes, write)
        for change in get_args(LeaseChange):
            self.child(self.lease_changes, change)
        for what in get_args(Claim):
            for cause in get_args(Cause):
                self.child(self.reclaims, what, cause)


def current() -> Instruments:
    """Return the instruments of the place where counts live now, so that the order of imports does not matter."""
    place = store.directory()
    found = _made.get(place)
    if found is None:
        with _making:  # two threads that count for the first time must not get two sets that overwrite each other
            found = _made.get(place) or Instruments()
            _made[place] = found
    return found
