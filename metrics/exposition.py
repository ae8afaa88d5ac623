"""Metrics and probes over HTTP, on a listener that the parent has bound.

Whatever a client does costs itself: it gets so many seconds, there are so many threads, the rest wait in the
listener's backlog, and what many ask for at once is made once.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from . import store
from .files import FORK_FILE, read_counts, sweep
from .instruments import current
from .server import Answer, Server
from .shared import Shared
from .table_metrics import gauge, names_of_gauges, scrape_metrics

log = logging.getLogger(__name__)

Probe = Callable[[], tuple[bool, str]]
ReadGauges = Callable[[], list[Metric]]

# A reading is made at most once in a second, however many scrape.
GAUGES_MAX_AGE = 1.0
# How long a scrape waits for gauges before it goes without, and for everything.
GAUGES_PATIENCE = 4.0
SCRAPE_PATIENCE = 8.0


class Exposition:
    """A running server; see `serve`."""

    def __init__(self, listener: socket.socket, read_gauges: ReadGauges | None, probes: Mapping[str, Probe]) -> None:
        self._gauges = Shared(read_gauges, max_age=GAUGES_MAX_AGE, sparing=True) if read_gauges else None
        self._pages: dict[str, Shared[bytes]] = {}
        self._pages_lock = threading.Lock()
        self._probes = dict(probes)
        self._server = Server(listener, self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting and close the listener in this process; requests in flight end with the process."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, path: str, accept: str) -> Answer:
        if path == "/metrics":
            return self._scrape(accept)
        probe = self._probes.get(path)
        if probe is None:
            known = " ".join(["/metrics", *self._probes])
            return Answer(404, f"not found; there are {known}\n".encode())
        try:
            ok, text = probe()
        except Exception:
            log.exception("a probe failed: path=%s", path)
            ok, text = False, "the probe itself failed, see the log"
        return Answer(200 if ok else 503, f"{text}\n".encode())

    def _scrape(self, accept: str) -> Answer:
        try:
            encode, content_type = choose_encoder(accept)
        except (ValueError, TypeError):  # a version that is no number
            encode, content_type = choose_encoder("")
        with self._pages_lock:
            # The content type names the format; there are a handful, and one that nobody has heard of is not kept.
            page = self._pages.get(content_type) or Shared(lambda: encode(_Families(self._families())))
            if len(self._pages) < 8:
                self._pages[content_type] = page
        body = page.get(SCRAPE_PATIENCE)
        if body is None:
            return Answer(503, b"the metrics could not be gathered in time, see the log\n")
        return Answer(200, body, content_type)

    def _families(self) -> list[Metric]:
        found = _counts()
        if self._gauges is not None:
            read = self._gauges.get(GAUGES_PATIENCE)
            found += scrape_metrics(up=False, failed=1) if read is None else read
        return found


def serve(
    listener: socket.socket, *, read_gauges: ReadGauges | None = None, probes: Mapping[str, Probe] | None = None
) -> Exposition:
    """Answer on a bound, listening socket until `stop()`: /metrics, and each path of `probes` ("/livez").

    A probe returns whether all is well and a text, and must not take long; `read_gauges` (see `TableGauges.read`) may
    take its time, is called by one thread at a time, and at most once a second.
    """
    return Exposition(listener, read_gauges, probes or {})


def metric_names() -> list[str]:
    """Return the names of all metrics that a scrape may show, as PromQL spells them without a histogram's suffixes."""
    counted = current().registry.collect()
    names = [f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in counted]
    return sorted([*names, *names_of_gauges(), "pgsupervise_metric_files_skipped"])


def _counts() -> list[Metric]:
    """Return the counts of all slots, or of this process where counts live in memory."""
    directory = store.directory()
    if directory is None:
        return list(current().registry.collect())
    try:
        sweep(directory, FORK_FILE)
    except OSError as error:
        log.debug("the metrics directory could not be swept: %s", error)
    counts = read_counts(directory)
    skipped = "Files in the metrics directory that are spoilt or nobody's and were left out of this scrape"
    return [*counts.metrics, gauge("metric_files_skipped", skipped, counts.skipped)]


class _Families(Collector):
    """What the encoders take: a registry's one method."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
