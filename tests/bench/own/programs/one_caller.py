"""One process calls one thing after another: pairs of calls in short blocks that alternate, and bulk calls."""

import time
from collections import Counter
from statistics import median
from typing import Any

from tests.bench.own.programs import frame  # sets Django up

# isort: split
from pgsupervise.django_app.models import Event, Task
from pgsupervise.django_app.notifications import Notification, notify_many
from tests.bench.own.programs.calls import CALLS, Call
from tests.bench.own.project.tasks import count

PAIRS = {"enqueue": "bare_task", "notify": "bare_event", "notify_hot": "notify"}
BULK_ROUNDS = 3
_made: Counter[str] = Counter()


def main(seconds: float, calls: int, rows: int) -> dict[str, Any]:
    """Return for each pair both medians of calls per second, and for each bulk call its rows per second."""
    found: dict[str, Any] = {own: _pair(own, other, seconds, calls) for own, other in PAIRS.items()}
    _expect(Task, _made["bare_task"] + _made["enqueue"])
    _expect(Event, _made["bare_event"] + _made["notify"] + _made["notify_hot"])
    found["enqueue_many"] = median(_bulk_tasks(rows) for _ in range(BULK_ROUNDS))
    found["notify_many"] = median(_bulk_events(rows) for _ in range(BULK_ROUNDS))
    _expect(Task, _made["bare_task"] + _made["enqueue"] + BULK_ROUNDS * rows)
    _expect(Event, _made["bare_event"] + _made["notify"] + _made["notify_hot"] + BULK_ROUNDS * rows)
    return found


def _pair(first: str, second: str, seconds: float, calls: int) -> tuple[float, float]:
    """Call both in turn, in blocks so short that whatever else the machine does hits both alike."""
    rates: dict[str, list[float]] = {first: [], second: []}
    until = time.perf_counter() + seconds
    order = [first, second]
    while time.perf_counter() < until:
        for name in order:
            rates[name].append(_rate(CALLS[name], calls))
            _made[name] += calls
        order.reverse()
    return median(rates[first]), median(rates[second])


def _rate(call: Call, calls: int) -> float:
    began = time.perf_counter()
    for number in range(calls):
        call(number)
    return calls / (time.perf_counter() - began)


def _bulk_tasks(rows: int) -> float:
    began = time.perf_counter()
    count.enqueue_many((number,) for number in range(rows))
    return rows / (time.perf_counter() - began)


def _bulk_events(rows: int) -> float:
    began = time.perf_counter()
    notify_many("lean", (Notification(f"user{number % 1000}@example.com", actor="Bob") for number in range(rows)))
    return rows / (time.perf_counter() - began)


def _expect(model: Any, rows: int) -> None:
    if (found := model.objects.count()) != rows:
        raise RuntimeError(f"{model.__name__}: {found} rows, and {rows} should have been written")


if __name__ == "__main__":
    frame.run(main)
