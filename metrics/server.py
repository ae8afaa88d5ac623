"""A small HTTP/1.0 server that no client can hurt: a bounded number of threads, and a bounded time for each."""

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

log = logging.getLogger(__name__)

PLAIN = "text/plain; charset=utf-8"
THREADS = 32
# For one read or write, and for a connection as a whole: a client that sends a byte at a time outlasts the first.
STEP_SECONDS = 5.0
CONNECTION_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    content_type: str = PLAIN


Respond = Callable[[str, str], Answer]
"""Takes the path and the Accept header."""


class Handler(BaseHTTPRequestHandler):
    """One request on one connection: HTTP/1.0 closes it, so idle clients hold no thread."""

    timeout = STEP_SECONDS
    server_version = "pgsupervise"
    sys_version = ""
    server: "Server"

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without one."""
        self._answer(with_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in plain text what http.server finds wrong with a request; 501 is its word for other methods."""
        if code == 501:
            self._send(Answer(405, b"only GET and HEAD\n"), with_body=True)
        else:
            self._send(Answer(code, b"bad request\n"), with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        accept = ",".join(self.headers.get_all("Accept") or [])
        path = self.path.partition("?")[0]
        try:
            answer = self.server.respond(path, accept)
        except Exception:
            log.exception("could not answer: path=%s", path)
            answer = Answer(500, b"failed, see the log\n")
        self._send(answer, with_body=with_body)

    def _send(self, answer: Answer, *, with_body: bool) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Keep requests and clients' mistakes out of the log: a scrape every few seconds says nothing."""
        log.debug("%s %s", self.client_address, format % args)


class Server(ThreadingMixIn, TCPServer):
    """Serves a listener that somebody else has bound."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, respond: Respond) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()  # the one that TCPServer has just made
        self.socket = listener
        # `select` may report a client that is gone before it is accepted; waiting for the next one would block stop().
        listener.setblocking(False)
        self.respond = respond
        self._stopping = False
        self._free = threading.Semaphore(THREADS)
        self._open: dict[socket.socket, float] = {}
        self._open_lock = threading.Lock()

    def shutdown(self) -> None:
        """Stop accepting, also while all threads are taken."""
        self._stopping = True
        super().shutdown()

    def service_actions(self) -> None:
        """End the connections that have taken too long; called ten times a second."""
        with self._open_lock:
            late = [client for client, until in self._open.items() if time.monotonic() > until]
        for client in late:
            self._end(client)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a client when one is free; until then the others wait in the listener's backlog."""
        while not self._free.acquire(timeout=0.2):
            self.service_actions()
            if self._stopping:
                self.shutdown_request(request)
                return
        with self._open_lock:
            self._open[request] = time.monotonic() + CONNECTION_SECONDS
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._served(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the client and give the thread's place back, whatever happened."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._served(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is our fault; a client that went away or was too slow is not worth a line."""
        if isinstance(sys.exc_info()[1], OSError):
            log.debug("client %s gone", client_address)
        else:
            log.exception("a request from %s failed", client_address)  # noqa: LOG004 - called by an except clause

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client; without a free file descriptor the loop must not spin."""
        try:
            return super().get_request()
        except BlockingIOError:
            raise
        except OSError:
            time.sleep(0.1)
            raise

    def _served(self, request: socket.socket) -> None:
        with self._open_lock:
            self._open.pop(request, None)
        self._free.release()

    @staticmethod
    def _end(client: socket.socket) -> None:
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("client gone before its time was up")
