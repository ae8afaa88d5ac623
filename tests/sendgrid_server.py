"""SendGrid's Mail Send endpoint on loopback, as far as a sender can tell, and every way in which it can go wrong.

Each request is held against SendGrid's own OpenAPI description, shipped as `data/sendgrid-mail-v3.openapi.json` (MIT).
In a test it is a context manager. Other processes start `python -m tests.sendgrid_server --port 0`, which prints its
URL, and steer it over HTTP: POST /_script (a list of behaviours, one a request), POST /_default (one behaviour for
all other requests), GET /_accepted, GET /_rejected.
"""

import argparse
import json
import signal
import ssl
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from email.message import Message as Head
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR
from types import TracebackType
from typing import Any, Self, cast

from tests.sendgrid_behaviour import Action as Action
from tests.sendgrid_behaviour import Behaviour as Behaviour
from tests.sendgrid_behaviour import errors
from tests.sendgrid_description import Problem, problems

SEND_PATH = "/v3/mail/send"


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the server took."""

    body: dict[str, Any]
    message_id: str
    at: float


class SendGridServer(ThreadingHTTPServer):
    """The server; `url` is the channel's host. Leaving the context ends every thread, also those that hang."""

    daemon_threads = False  # so that closing waits for them
    request_queue_size = 256

    def __init__(self, *, port: int = 0, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server_port}"
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            # The handshake is left to the thread of the request: here it would block everybody else's.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.accepted: list[Message] = []
        self.rejected: list[list[Problem]] = []
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        """Of the messages that were read, as they came."""
        self.arrivals: list[float] = []
        """When (time.monotonic) each message came."""
        self.under_way = 0
        self.most_under_way = 0
        self.connections = self.flooded = 0
        self.default = Behaviour()
        self.stopping = threading.Event()
        self._script: deque[Behaviour] = deque()
        self._lock = threading.Lock()
        self._connections: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="sendgrid-server")

    def script(self, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next requests, one each; after them the default applies again."""
        with self._lock:
            self._script.extend(behaviours)

    def next_behaviour(self) -> Behaviour:
        """Return what the request that has just come is in for."""
        with self._lock:
            return self._script.popleft() if self._script else self.default

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a call among those that are under way."""
        with self._lock:
            self.arrivals.append(time.monotonic())
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1

    def examine(self, headers: Head, content: bytes) -> tuple[int, dict[str, Any], list[Problem]]:
        """Return what SendGrid's description says of a request: the status, the body, what is wrong with them."""
        self.bodies.append(content)
        return problems(headers, content)

    def decide(self, behaviour: Behaviour, body: dict[str, Any], content: bytes) -> str:
        """Return the id of a message that is taken, "" for one that is not; `content` is the body as it came."""
        takes = behaviour.status == 202 if behaviour.takes is None else behaviour.takes
        return self.take(body) if takes else ""

    def take(self, body: dict[str, Any]) -> str:
        """Accept a message and return its id."""
        with self._lock:
            self.accepted.append(Message(body, uuid.uuid4().hex[:22], time.time()))
            return self.accepted[-1].message_id

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(SHUT_RDWR)  # wakes the thread that reads from it
                except OSError:
                    continue  # its peer was faster
        self.server_close()

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._connections)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that stopping can end it."""
        with self._lock:
            self._connections.add(request)
            self.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection, then forget it."""
        super().shutdown_request(request)
        with self._lock:
            self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over senders that hang up; say everything else."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10

    @property
    def sendgrid(self) -> SendGridServer:
        return cast(SendGridServer, self.server)

    def do_GET(self) -> None:
        self.sendgrid.requests.append(f"GET {self.path}")
        match self.path:
            case "/_accepted":
                self._reply(200, json.dumps([asdict(message) for message in list(self.sendgrid.accepted)]))
            case "/_rejected":
                self._reply(200, json.dumps([[asdict(each) for each in found] for found in self.sendgrid.rejected]))
            case "/page":
                self._reply(200, "<html>log in, please</html>", {"Content-Type": "text/html"})
            case path:
                self._reply(405 if path == SEND_PATH else 404, errors([Problem("no such thing", None)]))

    def do_POST(self) -> None:
        self.sendgrid.requests.append(f"POST {self.path}")
        match self.path:
            case "/v3/mail/send":
                with self.sendgrid.counted():
                    self._mail_send(self.sendgrid.next_behaviour())
            case "/_script":
                self.sendgrid.script(*(Behaviour.from_json(values) for values in json.loads(self._body())))
                self._reply(204)
            case "/_default":
                self.sendgrid.default = Behaviour.from_json(json.loads(self._body()))
                self._reply(204)
            case _:
                self._body()
                self._reply(404, errors([Problem("Not Found", None)]))

    def _mail_send(self, behaviour: Behaviour) -> None:
        match behaviour.action:
            case Action.HANG_UNREAD:
                self._hang()
                return
            case Action.HANG_UP_UNREAD:
                self.close_connection = True  # what lies unread in the socket makes closing it a reset
                return
        content = self._body()
        status, body, found = self.sendgrid.examine(self.headers, content)
        if found:
            self.sendgrid.rejected.append(found)
            self._reply(status, errors(found))
            return
        message_id = self.sendgrid.decide(behaviour, body, content)
        self._act(behaviour, {"X-Message-Id": message_id} if message_id and behaviour.status == 202 else {})

    def _act(self, behaviour: Behaviour, headers: dict[str, str]) -> None:
        headers |= behaviour.headers
        match behaviour.action:
            case Action.HANG_READ:
                self._hang()
            case Action.HANG_UP:
                self.close_connection = True
            case Action.RAW:
                self.wfile.write(behaviour.text.encode("latin-1"))
                self.close_connection = True
            case Action.FLOOD:
                self._reply(behaviour.status, "", headers | {"Content-Length": str(10**15)})
                self._flood()
            case _:
                self._answer(behaviour, headers)

    def _answer(self, behaviour: Behaviour, headers: dict[str, str]) -> None:
        match behaviour.action:
            case Action.HALF_REPLY:
                headers |= {"Content-Length": "5000"}
            case Action.DRIP:
                self.wfile = _Dripping(self.wfile, self.sendgrid.stopping)  # type: ignore[assignment]  # only writes
            case Action.SLOW:
                self.sendgrid.stopping.wait(0.2)
        self._reply(behaviour.status, behaviour.text, headers)
        if behaviour.action in (Action.HALF_REPLY, Action.DRIP, Action.CLOSE_UNTOLD):
            self.close_connection = True

    def _flood(self) -> None:
        while not self.sendgrid.stopping.is_set():
            self.wfile.write(b"x" * 1_000_000)
            self.sendgrid.flooded += 1_000_000

    def _hang(self) -> None:
        self.sendgrid.stopping.wait()
        self.close_connection = True

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _reply(self, status: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        defaults = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        self.send_response(status)
        for name, value in (defaults | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that http.server gives it
        """Say nothing: tests read what was recorded."""


class _Dripping:
    def __init__(self, stream: Any, stopping: threading.Event) -> None:
        self._stream, self._stopping = stream, stopping
        self.closed = False

    def write(self, data: bytes) -> int:
        for byte in data:
            self._stream.write(bytes([byte]))
            self._stopping.wait(0.01)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()
        self.closed = True


def main() -> None:
    """Serve until told to stop by SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="SendGrid's Mail Send endpoint on loopback")
    parser.add_argument("--port", type=int, default=0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before the threads, which inherit it
    with SendGridServer(port=parser.parse_args().port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
