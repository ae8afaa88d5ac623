"""HTTP replies with a deadline: a socket's own timeout starts anew with every byte that trickles in."""

import time
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from socket import socket
from typing import Any


class PromptResponse(HTTPResponse):
    """A response that must be complete within the socket's timeout, counted from when the request was written."""

    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = BufferedReader(_UntilDeadline(sock, self.fp.detach()))


class _UntilDeadline(RawIOBase):
    """Reads with what is left of the time."""

    def __init__(self, sock: socket, raw: RawIOBase) -> None:
        timeout = sock.gettimeout()
        if timeout is None:
            raise ValueError("a request needs a timeout")
        self._sock, self._raw, self._timeout = sock, raw, timeout
        self._deadline = time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply was not complete in time")
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        finally:
            # A proxy's reply to CONNECT comes over the same socket; what follows it has the whole timeout again.
            self._sock.settimeout(self._timeout)

    def close(self) -> None:
        self._raw.close()
        super().close()
