"""The jobs that no sender has taken yet."""

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING

from pgsupervise.partitions.rows import ClaimedDelivery

if TYPE_CHECKING:
    from .senders import Job

IDLE_SECONDS = 10.0


class WaitingJobs:
    """A queue for several threads; None is the word for one of them to end."""

    def __init__(self, together: Callable[[ClaimedDelivery], int]) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._together = together

    def put(self, job: "Job | None") -> None:
        """Add a job, or the word to end."""
        self._jobs.put(job)

    def next(self, rest: Callable[[], None]) -> "Job | None":
        """Wait for a job; `rest` is called when there has been none for a while."""
        try:
            return self._jobs.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            rest()
            return self._jobs.get()

    def more_for(self, job: "Job") -> "list[Job]":
        """Take what else waits, where it may go by the same calls: one request for several buckets' messages."""
        most = max((self._together(delivery) for delivery in job.deliveries), default=1)
        amount, more = len(job.deliveries), list["Job"]()
        while amount < most:
            try:
                found = self._jobs.get_nowait()
            except queue.Empty:
                break
            if found is None:
                self._jobs.put(None)  # for the next look
                break
            more.append(found)
            amount += len(found.deliveries)
            if any(self._together(delivery) == 1 for delivery in found.deliveries):
                break  # what takes a call for each message is for the other threads, too
        return more
