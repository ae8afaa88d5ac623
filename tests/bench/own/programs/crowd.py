"""Many processes call at once, all the same thing during one slice of time, and another during the next."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.queues import SimpleQueue

from tests.bench.own.programs import frame  # sets Django up

# isort: split
from django.db import connection

from tests.bench.own.programs.calls import CALLS

BOOT_SECONDS = 2.0
APART = 10_000_000
"""The numbers of one process begin so far behind those of the one before."""


def main(processes: int, slices: Sequence[str], seconds: float) -> list[int]:
    """Return for each slice, named by what is called, how many calls all processes made in it."""
    fork = multiprocessing.get_context("fork")
    counts: SimpleQueue[list[int]] = fork.SimpleQueue()
    begin = time.monotonic() + BOOT_SECONDS
    connection.close()
    children = [fork.Process(target=_call, args=(n, begin, slices, seconds, counts)) for n in range(processes)]
    for child in children:
        child.start()
    made = [counts.get() for _ in children]
    for child in children:
        child.join()
    return [sum(of_slice) for of_slice in zip(*made, strict=True)]


def _call(process: int, begin: float, slices: Sequence[str], seconds: float, counts: "SimpleQueue[list[int]]") -> None:
    connection.ensure_connection()
    number = process * APART
    made = []
    for index, name in enumerate(slices):
        call, first = CALLS[name], number
        until = begin + (index + 1) * seconds
        time.sleep(max(0.0, until - seconds - time.monotonic()))
        while time.monotonic() < until:
            call(number)
            number += 1
        made.append(number - first)
    counts.put(made)
    connection.close()


if __name__ == "__main__":
    frame.run(main)
