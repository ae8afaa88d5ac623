"""Adds up the writes that fences refused, by the supervisors' own counters, which die with them: so asks often."""

import re
import threading
import time
import urllib.request
from collections import Counter

from tests.chaos.cluster import Cluster

ASK_SECONDS = 1.5
PATTERN = re.compile(r'^pgsupervise_stale_writes_total\{write="(\w+)"\} (\S+)$', re.MULTILINE)


class StaleWrites:
    """A thread that asks; `with` runs it. What a supervisor counted after it was asked last is missed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._last: dict[int, Counter[str]] = {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stale")

    def __enter__(self) -> "StaleWrites":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def total(self) -> Counter[str]:
        """Return how many were refused, by what was to be written."""
        return sum(self._last.values(), Counter())

    def _run(self) -> None:
        while not self._stop.wait(ASK_SECONDS):
            for member in self._cluster.members:
                life = member.now
                if life.port is not None:
                    self._ask(life.supervised.pid, life.port)

    def _ask(self, pid: int, port: int) -> None:
        began = time.monotonic()
        try:
            with self._opener.open(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
                found = PATTERN.findall(answer.read().decode())
        except OSError:
            self._stop.wait(max(0.0, ASK_SECONDS - (time.monotonic() - began)))
            return  # it is dead, stopped, or only just starting
        self._last[pid] = Counter({write: int(float(count)) for write, count in found})
