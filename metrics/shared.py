"""Many ask, one computes: what a thousand scrapes want at the same moment is made once."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Shared(Generic[T]):
    """A value that is computed on demand by at most one thread, however many ask.

    It is good for those who asked before its computing began, and for `max_age` seconds after. With `sparing`, what
    took long to compute is also good for ten times as long: computing then takes at most a tenth of the time.
    """

    def __init__(self, compute: Callable[[], T], *, max_age: float = 0.0, sparing: bool = False) -> None:
        self._compute = compute
        self._max_age = max_age
        self._sparing = sparing
        self._changed = threading.Condition()
        self._busy = False
        self._began = float("-inf")
        self._good_for = max_age
        self._value: T | None = None

    def get(self, patience: float) -> T | None:
        """Return the value; None when computing it failed or is not done after `patience` seconds."""
        asked = time.monotonic()
        with self._changed:
            while self._began < asked - self._good_for:
                if not self._busy:
                    self._busy = True
                    # A thread of its own: a database that hangs may take longer than this asker's patience.
                    threading.Thread(target=self._run, name="shared", daemon=True).start()
                if not self._changed.wait(max(0.0, asked + patience - time.monotonic())):
                    return None
            return self._value

    def _run(self) -> None:
        began = time.monotonic()
        value: T | None = None
        try:
            value = self._compute()
        except Exception:
            log.exception("a scrape asked for what could not be computed")
        with self._changed:
            spent = time.monotonic() - began
            self._good_for = max(self._max_age, 10 * spent) if self._sparing else self._max_age
            self._value, self._began, self._busy = value, began, False
            self._changed.notify_all()
