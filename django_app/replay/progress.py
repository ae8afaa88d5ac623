"""Shows on a terminal how far the replay is; elsewhere it says nothing, so that logs stay readable."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from .left import Left


class Show(Protocol):
    """Takes what is to be shown: the events inserted so far, and what is left of them."""

    def __call__(self, inserted: int, left: Left) -> None:
        """Show it."""
        ...


@contextmanager
def progress(events: int) -> Iterator[Show]:
    """Show a bar that is full when every event is in a sealed digest."""
    if not sys.stderr.isatty():
        yield lambda inserted, left: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting the workers", total=events)

        def show(inserted: int, left: Left) -> None:
            text = f"{inserted:,} events in, {left.deliveries:,} digests on their way"
            bar.update(task, completed=inserted - left.pending - left.batched, description=text)

        yield show
