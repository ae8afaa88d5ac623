"""No scrape and no client hurts the exporter, and what it says is what Prometheus reads."""

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from pgsupervise.metrics import exposition, recorder, server
from pgsupervise.metrics.exposition import Exposition, Probe
from pgsupervise.metrics.table_metrics import scrape_metrics

PROBES: dict[str, Probe] = {"/livez": lambda: (True, "alive"), "/readyz": lambda: (False, "no database")}
Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers on free ports; return the port."""
    running: list[Exposition] = []

    def start(read_gauges: exposition.ReadGauges | None = None, probes: dict[str, Probe] | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        running.append(exposition.serve(listener, read_gauges=read_gauges, probes=PROBES | (probes or {})))
        return int(listener.getsockname()[1])

    yield start
    for each in running:
        each.stop()


def ask(port: int, path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, http.client.HTTPMessage, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        client.request(method, path, headers={"Accept": accept})
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def send(port: int, request: bytes) -> bytes:
    """Send raw bytes and return all that comes back until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        try:
            client.sendall(request)
            while chunk := client.recv(65536):
                received += chunk
        except ConnectionError:
            pass  # refused before all of it was sent
    return received


def scrape(port: int) -> dict[str, float]:
    families = text_string_to_metric_families(ask(port, "/metrics")[2])
    return {sample.name: sample.value for family in families for sample in family.samples}


def up() -> list[Metric]:
    return scrape_metrics(up=True, failed=0)


def test_a_scrape_shows_counts_and_gauges(serve: Serve) -> None:
    port = serve(up)
    before = scrape(port)["pgsupervise_beats_total"]
    recorder.beat()
    after = scrape(port)
    assert after["pgsupervise_beats_total"] == before + 1
    assert after["pgsupervise_database_up"] == 1


def test_a_probe_answers_200_or_503_with_its_text(serve: Serve) -> None:
    port = serve()
    assert (ask(port, "/livez")[0], ask(port, "/livez")[2]) == (200, "alive\n")
    assert (ask(port, "/readyz?verbose")[0], ask(port, "/readyz")[2]) == (503, "no database\n")


def test_a_probe_that_raises_is_a_no(serve: Serve) -> None:
    def raises() -> tuple[bool, str]:
        raise RuntimeError("probe")

    assert ask(serve(probes={"/startupz": raises}), "/startupz")[0] == 503


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "//[", "/%2e%2e/etc/passwd", "/startupz"])
def test_other_paths_are_not_found(serve: Serve, path: str) -> None:
    assert ask(serve(), path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_refused(serve: Serve, method: str) -> None:
    status, headers, _ = ask(serve(), "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_answers_as_get_without_the_body(serve: Serve) -> None:
    port = serve()
    status, headers, body = ask(port, "/metrics", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", "application/openmetrics-text"),
        ("text/plain; version=0.0.4", "text/plain"),
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("application/openmetrics-text; version=new", "text/plain"),
        ("application/openmetrics-text; version=9" + "9" * 5000, "text/plain"),
        (";;;,,,===", "text/plain"),
    ],
)
def test_the_format_is_the_one_asked_for(serve: Serve, accept: str, content_type: str) -> None:
    status, headers, body = ask(serve(), "/metrics", accept=accept)
    assert (status, headers["Content-Type"].split(";")[0]) == (200, content_type)
    assert body.endswith("# EOF\n") == (content_type != "text/plain")


def test_promtool_finds_no_fault(serve: Serve) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    recorder.task_finished("mail", "done", 0.1)
    recorder.delivery_finished("email", "unknown", 3)
    for body in (ask(serve(up), "/metrics")[2],):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=body, capture_output=True, text=True, check=False
        )
        # The library's own `_created` gauges of in-memory counters are named as OpenMetrics wants them.
        faults = [line for line in checked.stderr.splitlines() if "_created" not in line]
        assert faults == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET \xff\xfe\x00 HTTP/1.1\r\n\r\n",
        b"\x00" * 1000 + b"\r\n\r\n",
    ],
    ids=lambda request: repr(request[:24]),
)
def test_a_malformed_request_costs_only_itself(
    serve: Serve, capfd: pytest.CaptureFixture[str], request_bytes: bytes
) -> None:
    port = serve()
    send(port, request_bytes)
    assert ask(port, "/livez")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_client_that_goes_away_in_the_middle_costs_only_itself(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    port = serve(up)
    for _ in range(3 * server.THREADS):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # close with a reset
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        client.close()
    assert scrape(port)["pgsupervise_database_up"] == 1
    assert capfd.readouterr().err == ""


def test_clients_that_send_a_byte_at_a_time_do_not_keep_the_others_out(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.2)
    port = serve()
    enough = threading.Event()

    def drip(client: socket.socket) -> None:
        try:
            while not enough.wait(0.05):
                client.sendall(b"G")
        except OSError:
            pass  # the server has ended it

    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * server.THREADS)]
    threads = [threading.Thread(target=drip, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        assert ask(port, "/livez")[0] == 200
    finally:
        enough.set()
        for thread, client in zip(threads, clients, strict=True):
            thread.join()
            client.close()


def test_a_thousand_scrapes_at_once_are_all_answered_by_one_reading(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposition, "GAUGES_MAX_AGE", 3600.0)
    readings = []

    def read() -> list[Metric]:
        readings.append(1)
        return up()

    port = serve(read)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: ask(port, "/metrics")[0], range(1000)))
    assert answers == [200] * 1000
    assert len(readings) == 1


def test_a_database_that_hangs_takes_nothing_but_the_gauges_away(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "GAUGES_PATIENCE", 0.1)
    answers = threading.Event()

    def read() -> list[Metric]:
        answers.wait(60)
        return up()

    port = serve(read)
    for _ in range(3):
        shown = scrape(port)
        assert shown["pgsupervise_database_up"] == 0
        assert "pgsupervise_beats_total" in shown
    answers.set()
    monkeypatch.setattr(exposition, "GAUGES_PATIENCE", 60.0)
    assert scrape(port)["pgsupervise_database_up"] == 1


def test_gauges_that_fail_take_nothing_but_themselves_away(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def read() -> list[Metric]:
        raise RuntimeError("gauges")

    shown = scrape(serve(read))
    assert shown["pgsupervise_database_up"] == 0
    assert "pgsupervise_beats_total" in shown
    assert "could not be computed" in caplog.text


def test_after_stop_nobody_listens() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    running = exposition.serve(listener, probes=PROBES)
    port = listener.getsockname()[1]
    assert ask(port, "/livez")[0] == 200
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_stop_does_not_wait_for_clients() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    running = exposition.serve(listener, probes=PROBES)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(server.THREADS + 5)]
    running.stop()
    for client in clients:
        client.close()
