"""HTTP connections that serve one request after another, for `urllib`, which closes each after its first."""

import select
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPResponse
from typing import Any

REUSE_SECONDS = 1.0
"""A connection that has been idle for longer is not used again: its server may be about to close it."""
LONGEST_SECONDS = 60.0
"""Nor one that was opened before that: the host's name may lead elsewhere by now."""


class KeptConnection:
    """The one connection that a thread keeps to its server.

    A server may close an idle connection at any time (RFC 9112, section 9.5), and whoever was just sending on it cannot
    tell whether the request was read. So one is used again only soon after its last reply, only while the server has
    sent nothing since, and not at all any more after it once went wrong.
    """

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None
        self._to: object = None
        self._reply: HTTPResponse | None = None
        self._opened_at = self._replied_at = 0.0
        self._is_reused = False
        self._may_reuse = True

    def take(self, to: object, connect: Callable[[], HTTPConnection]) -> HTTPConnection:
        """Return the connection that was kept, where it still leads `to` the same place, or a new one."""
        if self._connection is not None and to == self._to and self._is_fresh(self._connection):
            self._is_reused = True
            return self._connection
        self.drop()
        self._connection, self._to, self._opened_at = connect(), to, time.monotonic()
        self._is_reused = False
        return self._connection

    def replied(self, reply: HTTPResponse) -> None:
        """Take note of the reply to the request that was sent on the connection last."""
        self._reply, self._replied_at = reply, time.monotonic()

    def drop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._reply = None

    def fail(self) -> None:
        """Close a connection that went wrong; if it had served before, none serves twice any more."""
        self._may_reuse = self._may_reuse and not self._is_reused
        self.drop()

    def _is_fresh(self, connection: HTTPConnection) -> bool:
        now = time.monotonic()
        if not (self._may_reuse and now - self._replied_at < REUSE_SECONDS and now - self._opened_at < LONGEST_SECONDS):
            return False
        # A reply that was not read to its end is still in the way.
        if connection.sock is None or self._reply is None or not self._reply.isclosed():
            return False
        silence = select.poll()
        silence.register(connection.sock, select.POLLIN)
        return not silence.poll(0)


class Exchange:
    """One request and its reply, in the shape in which `urllib` expects a connection of its own."""

    sock = None  # `urllib` closes this after the reply's head has come

    def __init__(self, kept: KeptConnection, to: object, connect: Callable[[], HTTPConnection]) -> None:
        self._kept, self._to, self._connect = kept, to, connect
        self._tunnel: tuple[str, Mapping[str, str]] | None = None

    def set_debuglevel(self, level: int) -> None:
        """Print nothing, whatever the level: a request's headers hold the API key."""

    def set_tunnel(self, host: str, headers: Mapping[str, str]) -> None:
        """Go to the host through the proxy that the connection leads to."""
        self._tunnel = host, headers

    def request(self, method: str, url: str, body: Any, headers: dict[str, str], *, encode_chunked: bool) -> None:
        """Send a request."""
        lasting = {name: value for name, value in headers.items() if name != "Connection"}
        self._connection = self._kept.take((self._to, self._tunnel), self._open)
        self._connection.request(method, url, body, lasting, encode_chunked=encode_chunked)

    def getresponse(self) -> HTTPResponse:
        """Return the reply as soon as its head has come."""
        reply = self._connection.getresponse()
        self._kept.replied(reply)
        return reply

    def close(self) -> None:
        """Give the exchange up: `urllib` does so when it has failed."""
        self._kept.fail()

    def _open(self) -> HTTPConnection:
        connection = self._connect()
        if self._tunnel:
            host, headers = self._tunnel
            connection.set_tunnel(host, headers=headers)
        return connection
