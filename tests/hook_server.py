"""An HTTP server on loopback that keeps each request and answers as it is told to."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self, cast


@dataclass(frozen=True)
class Say:
    """An answer; `action` is what becomes of it: "hang", "hang up" or "drip" a byte at a time."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    action: str = "answer"


class Request(NamedTuple):
    """What came, with the names of headers in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes


class HookServer(ThreadingHTTPServer):
    """In a with statement it listens on `url`."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.say = Say()
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that have gone: that is what some tests do."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast(HookServer, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.requests.append(Request(self.path, headers, body))
        say = server.say
        if say.action == "hang":
            server.stopping.wait()
        if say.action in ("hang", "hang up"):
            return
        self.send_response(say.status)
        for name, value in (say.headers | {"Content-Length": str(len(say.body))}).items():
            self.send_header(name, value)
        if say.action == "drip":
            self.flush_headers()
            while not server.stopping.wait(0.05):
                self.wfile.write(b"X-More: y\r\n")
            return
        self.end_headers()
        self.wfile.write(say.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing: tests read what was recorded."""
