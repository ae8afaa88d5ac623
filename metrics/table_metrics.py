"""What the tables say, as Prometheus names it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from pgsupervise.partitions import gauges
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.gauges import Backlog, Holder, LeaseCounts, WorkerCount
from pgsupervise.partitions.states import WorkerState


@dataclass(frozen=True, slots=True)
class BacklogGauge:
    """Something that waits in partitions; without `age_text` its age means nothing and is not shown."""

    name: str
    read: Callable[[Connection, int], list[Backlog]]
    text: str
    age_text: str = ""


BACKLOGS = (
    BacklogGauge("ready_tasks", gauges.ready_tasks, "Tasks to be run now", "How long the oldest ready task waits"),
    BacklogGauge(
        "scheduled_tasks", gauges.scheduled_tasks, "Tasks for later", "How long a due task waits to become ready"
    ),
    BacklogGauge(
        "in_progress_tasks",
        gauges.in_progress_tasks,
        "Tasks claimed by workers",
        "Time since the oldest claim of a task",
    ),
    BacklogGauge(
        "pending_events", gauges.pending_events, "Events without a batch", "How long the oldest pending event waits"
    ),
    BacklogGauge("open_batches", gauges.open_batches, "Batches that are not sealed"),
    BacklogGauge(
        "overdue_batches", gauges.overdue_batches, "Batches that are due", "How long the oldest due batch waits"
    ),
    BacklogGauge(
        "pending_deliveries", gauges.pending_deliveries, "Messages to be sent now", "How long the oldest message waits"
    ),
    BacklogGauge(
        "waiting_deliveries",
        gauges.waiting_deliveries,
        "Messages for later: quiet hours, caps and retries",
        "How long a message whose time has come waits to become pending",
    ),
    BacklogGauge(
        "sending_deliveries",
        gauges.sending_deliveries,
        "Messages being sent",
        "Time since the oldest claim of a message",
    ),
    BacklogGauge(
        "unknown_deliveries", gauges.unknown_deliveries, "Messages of unknown fate", "Age of the oldest such message"
    ),
)
CAPPED = f", at least: at most {gauges.CAP} are counted in each of the 256 buckets"


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(f"pgsupervise_{name}", text, value=value)


def backlog_metrics(backlog: BacklogGauge, partitions: Sequence[Backlog]) -> list[Metric]:
    """Return how much waits in each partition, and how long the oldest has."""
    amounts = _labelled(backlog.name, backlog.text + CAPPED, "partition")
    ages = _labelled(f"{backlog.name}_oldest_age_seconds", backlog.age_text, "partition")
    for number, found in enumerate(partitions):
        amounts.add_metric([str(number)], found.amount)
        ages.add_metric([str(number)], found.age_seconds)
    return [amounts, ages] if backlog.age_text else [amounts]


def lease_metrics(counts: LeaseCounts) -> list[Metric]:
    """Return who owns the buckets, and whether the leading keeper is ours."""
    owned = _labelled("leases", "Buckets by owner: this supervisor, another one, nobody", "owner")
    owned.add_metric(["this"], counts.ours)
    owned.add_metric(["other"], counts.others)
    owned.add_metric(["none"], counts.unowned)
    return [owned, gauge("keeper_leads", "Whether this supervisor's keeper leads the cluster", float(counts.leads))]


def worker_metrics(counts: Sequence[WorkerCount]) -> list[Metric]:
    """Return the processes by kind and state, and how long ago the quietest that should beat did."""
    processes = _labelled("processes", "Processes in the worker table, of all supervisors", "kind", "state")
    for count in counts:
        processes.add_metric([count.kind, count.state.lower()], count.amount)
    beating = [count for count in counts if count.state in (WorkerState.ACTIVE, WorkerState.DRAINING)]
    quietest = max((count.beat_age_seconds for count in beating), default=0.0)
    return [processes, gauge("oldest_beat_age_seconds", "Time since the quietest live process beat", quietest)]


def channel_metrics(paused: Mapping[str, bool]) -> list[Metric]:
    """Return which channels are paused."""
    family = _labelled("channel_paused", "Whether a channel is paused, by hand or not, or on trial", "channel")
    for name, is_paused in paused.items():
        family.add_metric([name], float(is_paused))
    return [family]


def transaction_metrics(holder: Holder | None) -> list[Metric]:
    """Return the transaction that has been open longest."""
    text = "How long the oldest transaction in the database has been open, and whose it is"
    return [_held("oldest_transaction_age_seconds", text, holder)]


def xmin_metrics(holder: Holder | None) -> list[Metric]:
    """Return what holds vacuum back most."""
    text = "How many transactions ago the oldest snapshot still held was taken, and who keeps vacuum waiting with it"
    return [_held("oldest_xmin_age_transactions", text, holder)]


def dead_task_metrics(amount: int) -> list[Metric]:
    """Return how many tasks have been given up."""
    return [gauge("dead_tasks", f"DEAD tasks in the archive, at most {gauges.DEAD_CAP} are counted", amount)]


def scrape_metrics(*, up: bool, failed: int) -> list[Metric]:
    """Return whether the tables could be read, and how many statements could not."""
    return [
        gauge("database_up", "Whether the database answered this supervisor's exporter", float(up)),
        gauge("table_reads_failed", "Statements of this scrape that failed or ran out of time", failed),
    ]


def names_of_gauges() -> list[str]:
    """Return the names of all gauges above."""
    shown = [
        *lease_metrics(LeaseCounts(0, 0, 0, False)),
        *worker_metrics([]),
        *channel_metrics({}),
        *transaction_metrics(None),
        *xmin_metrics(None),
        *dead_task_metrics(0),
        *scrape_metrics(up=True, failed=0),
    ]
    for backlog in BACKLOGS:
        shown += backlog_metrics(backlog, [])
    return [metric.name for metric in shown]


def _held(name: str, text: str, holder: Holder | None) -> Metric:
    family = _labelled(name, text, "holder")
    family.add_metric([holder.name if holder else ""], holder.age if holder else 0)
    return family


def _labelled(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"pgsupervise_{name}", text, labels=labels)
