"""One process calls one thing after another: pairs of calls in short blocks that alternate, and bulk calls."""

import time
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


def main(blocks: int, calls: int, rows: int) -> dict[str, Any]:
    """Return for each pair both medians of calls per second, and for each bulk call its rows per second."""
    found: dict[str, Any] = {own: _pair(CALLS[own], CALLS[other], blocks, calls) for own, other in PAIRS.items()}
    single = blocks * calls
    _expect(Task, 2 * single)
    _expect(Event, 4 * single)
    found["enqueue_many"] = median(_bulk_tasks(rows) for _ in range(BULK_ROUNDS))
    found["notify_many"] = median(_bulk_events(rows) for _ in range(BULK_ROUNDS))
    _expect(Task, 2 * single + BULK_ROUNDS * rows)
    _expect(Event, 4 * single + BULK_ROUNDS * rows)
    return found


def _pair(first: Call, second: Call, blocks: int, calls: int) -> tuple[float, float]:
    rates: tuple[list[float], list[float]] = [], []
    both = [(first, rates[0]), (second, rates[1])]
    for block in range(blocks):
        for call, kept in both if block % 2 else reversed(both):
            began = time.perf_counter()
            for number in range(calls):
                call(number)
            kept.append(calls / (time.perf_counter() - began))
    return median(rates[0]), median(rates[1])


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
