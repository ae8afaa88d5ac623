"""Every instrument is counted by one function, with labels that stay few."""

import re
from typing import get_args

import pytest

from pgsupervise.metrics import instruments, recorder
from pgsupervise.metrics.exposition import metric_names
from pgsupervise.metrics.instruments import Instruments
from pgsupervise.partitions.states import Reason


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> Instruments:
    """Count from zero, in memory."""
    monkeypatch.setattr(instruments, "_made", {})
    return instruments.current()


def value(made: Instruments, metric: str, /, **labels: str) -> float | None:
    return made.registry.get_sample_value(f"pgsupervise_{metric}", labels)


def test_what_callers_say_is_what_a_scrape_shows(made: Instruments) -> None:
    recorder.task_finished("mail", "done", 0.02)
    recorder.tasks_given_back("mail", 3)
    recorder.tasks_claimed(8)
    recorder.tasks_unknown(2)
    recorder.events_folded("comments", 5)
    recorder.window_fell_back("comments", "bad")
    recorder.batches_sealed("comments", [4])
    recorder.batches_withheld("comments", Reason.EMPTY, 2)
    recorder.events_left_out("comments", Reason.MUTED, 3)
    recorder.render_failed("comments")
    recorder.delivery_finished("email", "accepted", 0.3)
    recorder.stale_writes("finish", 2)
    recorder.reclaimed("task", "exit", 6)
    recorder.leases_changed("acquired", 64)
    recorder.beat()
    recorder.beat_failed()
    recorder.restarted("worker", "signal:SIGKILL")
    recorder.database_error("flusher")

    assert value(made, "tasks_finished_total", name="mail", outcome="done") == 1
    assert value(made, "tasks_finished_total", name="mail", outcome="given_back") == 3
    assert value(made, "task_duration_seconds_sum", name="mail") == 0.02
    assert value(made, "tasks_claimed_total") == 8
    assert value(made, "tasks_unknown_total") == 2
    assert value(made, "events_folded_total", policy="comments") == 5
    assert value(made, "batches_sealed_total", policy="comments") == 1
    assert value(made, "window_fallbacks_total", policy="comments", reason="bad") == 1
    assert value(made, "digest_items_sum") == 4
    assert value(made, "batches_withheld_total", policy="comments", reason="empty") == 2
    assert value(made, "events_left_out_total", policy="comments", reason="muted") == 3
    assert value(made, "render_failures_total", policy="comments") == 1
    assert value(made, "deliveries_finished_total", channel="email", outcome="accepted") == 1
    assert value(made, "delivery_duration_seconds_sum", channel="email") == 0.3
    assert value(made, "stale_writes_total", write="finish") == 2
    assert value(made, "reclaims_total", what="task", cause="exit") == 6
    assert value(made, "lease_changes_total", change="acquired") == 64
    assert value(made, "beats_total") == 1
    assert value(made, "beat_failures_total") == 1
    assert value(made, "restarts_total", kind="worker", reason="signal:SIGKILL") == 1
    assert value(made, "database_errors_total", loop="flusher") == 1


def test_a_chunk_counts_like_its_tasks_one_by_one(made: Instruments) -> None:
    durations = [0.0, 0.001, 0.0011, 0.3, 0.25, 4000.0, 60.0]
    recorder.tasks_finished("chunk", "done", durations)
    for seconds in durations:
        made.task_duration.labels("single").observe(seconds)
        recorder.task_finished("by_one", "done", seconds)

    for bound in [*instruments.TASK_SECONDS, float("inf")]:
        le = "+Inf" if bound == float("inf") else str(float(bound))
        counts = {
            value(made, "task_duration_seconds_bucket", name=name, le=le) for name in ("chunk", "by_one", "single")
        }
        assert counts == {sum(seconds <= bound for seconds in durations)}
    assert value(made, "tasks_finished_total", name="chunk", outcome="done") == len(durations)


def test_a_chunk_of_nothing_counts_nothing(made: Instruments) -> None:
    recorder.tasks_finished("mail", "done", [])
    assert value(made, "task_duration_seconds_count", name="mail") == 0


def test_a_label_that_somebody_fills_with_ids_ends_as_other(made: Instruments) -> None:
    for number in range(2000):
        recorder.events_folded(f"policy-{number}", 1)
    (family,) = [metric for metric in made.registry.collect() if metric.name == "pgsupervise_events_folded"]
    totals = [sample for sample in family.samples if sample.name.endswith("_total")]
    assert len(totals) == instruments.MOST_SERIES + 1
    assert sum(sample.value for sample in totals) == 2000


@pytest.mark.parametrize("change", get_args(instruments.LeaseChange))
def test_a_known_series_is_there_before_its_first_count(made: Instruments, change: str) -> None:
    assert value(made, "lease_changes_total", change=change) == 0


def test_metric_names_follow_the_conventions() -> None:
    names = metric_names()
    assert len(names) == len(set(names))
    for name in names:
        assert re.fullmatch(r"pgsupervise_[a-z]+(_[a-z]+)*", name)
        assert not re.search(r"_(ms|millis|milliseconds|minutes|count|sum|bucket)$", name)
