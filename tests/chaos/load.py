"""Enqueues tasks and events by the real APIs while the faults rain, and remembers which transactions committed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from django.db import OperationalError, connection, transaction

from pgsupervise.django_app.notifications import Notification, notify, notify_many
from tests.chaos.changes import FICKLE, Changes
from tests.chaos.evidence import Produced

TICK_SECONDS = 0.05
KEYS = [f"key-{number}" for number in range(40)]
HOT_KEYS = KEYS[:3]
"""There is nearly always something behind the one that runs, so that a death that lets it pass is seen."""
RECIPIENTS = [*(f"person{number}@example.com" for number in range(30)), *sorted(FICKLE)]
SHORTEST, LONGEST = 0.3, 0.7
"""Of slow tasks, in seconds: one that is begun when a worker may still begin one ends before its time-to-dead."""
ROLLED_BACK = 0.1
QUICK_SECONDS = 0.002
ORDERED_SECONDS = (0.005, 0.06)


class _OnPurposeError(Exception):
    """Rolls a transaction back."""


@dataclass(slots=True)
class _Book:
    """Numbers of one sort by what became of their transactions."""

    last: int = 0
    committed: set[int] = field(default_factory=set)
    rolled_back: set[int] = field(default_factory=set)
    uncertain: list[frozenset[int]] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def new(self, count: int = 1) -> list[int]:
        numbers = list(range(self.last + 1, self.last + count + 1))
        self.last += count
        self.open.update(numbers)
        return numbers

    def settle(self, where: Callable[["_Book"], set[int] | None]) -> None:
        target = where(self)
        if target is None:
            self.uncertain.append(frozenset(self.open))
        else:
            target.update(self.open)
        self.open = set()

    def since(self, first: int) -> Produced:
        return Produced(
            frozenset(number for number in self.committed if number > first),
            frozenset(number for number in self.rolled_back if number > first),
            [group for group in self.uncertain if group and min(group) > first],
        )


class Load:
    """The producer. `with load.running():` produces from another thread until the block ends."""

    def __init__(self, seed: int) -> None:
        self._rand = Random(seed)
        self._tasks, self._events = _Book(), _Book()
        self.changes = Changes(self._rand)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._first = (0, 0)
        self.failure: BaseException | None = None

    def begin(self) -> None:
        """Start to produce; what comes is counted from here."""
        self._first = (self._tasks.last, self._events.last)
        self.changes.begin()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()

    def end(self) -> None:
        """Stop producing. Raises what ended the producer before its time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.failure is not None:
            raise self.failure

    def last(self) -> tuple[int, int]:
        """Return the numbers of the last task and of the last event."""
        return self._tasks.last, self._events.last

    def produced(self) -> tuple[Produced, Produced]:
        """Return the tasks and the events since `begin`."""
        return self._tasks.since(self._first[0]), self._events.since(self._first[1])

    def _run(self) -> None:
        try:
            while not self._stop.wait(TICK_SECONDS):
                self._transaction()
        except BaseException as error:
            self.failure = error
        finally:
            connection.close()

    def _transaction(self) -> None:
        books = (self._tasks, self._events)
        try:
            with transaction.atomic():
                self._enqueue()
                self._notify()
                self.changes.happen()
                if self._rand.random() < ROLLED_BACK:
                    raise _OnPurposeError
        except _OnPurposeError:
            self.changes.settle(is_certain=None)
            for book in books:
                book.settle(lambda book: book.rolled_back)
        except OperationalError:
            # Its COMMIT may have succeeded all the same: the tables will tell.
            self.changes.settle(is_certain=False)
            for book in books:
                book.settle(lambda book: None)
            connection.close()
            time.sleep(TICK_SECONDS)
        else:
            self.changes.settle(is_certain=True)
            for book in books:
                book.settle(lambda book: book.committed)

    # The project is imported by the run's own process only: in that of the other tests its policies are unknown.
    def _enqueue(self) -> None:
        from tests.chaos.project.tasks import ordered, quick, slow

        quick.enqueue_many((number, QUICK_SECONDS) for number in self._tasks.new(5))
        for number, keys in zip(self._tasks.new(2), (HOT_KEYS, KEYS), strict=True):
            ordered.using(key=self._rand.choice(keys)).enqueue(number, self._rand.uniform(*ORDERED_SECONDS))
        if self._rand.random() < 0.15:
            slow.enqueue(self._tasks.new()[0], self._rand.uniform(SHORTEST, LONGEST))

    def _notify(self) -> None:
        from tests.chaos.project.notifications import few, fixed, mailed, sliding

        for policy, share in ((sliding, 1.0), (few, 0.3), (mailed, 0.1)):
            if self._rand.random() < share:
                number, recipient = self._events.new()[0], self._rand.choice(RECIPIENTS)
                id_ = notify(policy, recipient, {"number": number}, object=self._rand.choice("xyz"))
                self.changes.told(number, id_, recipient)
        notify_many(fixed, (Notification(self._rand.choice(RECIPIENTS), {"number": n}) for n in self._events.new(2)))
