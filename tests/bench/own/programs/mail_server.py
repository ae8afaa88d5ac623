"""An endpoint as quick as loopback allows: it answers 202 at once, keeps connections alive, and checks nothing.

`tests/sendgrid_server.py` checks every message, and would be what is measured. This one counts messages, and hands out
what it got: GET /stats, GET /bodies; POST /reset forgets. It prints its URL.
"""

import asyncio
import json
import sys
import time

_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: loopback\r\n"
_KEPT = _ACCEPTED + b"Connection: keep-alive\r\n\r\n"
_CLOSED = _ACCEPTED + b"Connection: close\r\n\r\n"


class Mail:
    """What has arrived."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget it."""
        self.bodies: list[bytes] = []
        self.first = self.last = 0.0

    def take(self, body: bytes) -> None:
        """Keep a message."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.bodies.append(body)

    def answer(self, request: bytes) -> bytes:
        """Return what the bench asks for."""
        if request.startswith(b"GET /stats"):
            distinct = len(set(self.bodies))
            stats = {"messages": len(self.bodies), "distinct": distinct, "seconds": self.last - self.first}
            return json.dumps(stats).encode()
        if request.startswith(b"GET /bodies"):
            return b"\n".join(self.bodies)
        self.reset()
        return b""


class Connection(asyncio.Protocol):
    """One connection: requests one after another."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0]) if found else 0
            if len(self._read) < end + 4 + length:
                return
            body, request = self._read[end + 4 : end + 4 + length], self._read[:end]
            self._read = self._read[end + 4 + length :]
            self._answer(request, body, closing=b"connection: close" in head)

    def _answer(self, request: bytes, body: bytes, *, closing: bool) -> None:
        if request.startswith(b"POST /v3/mail/send"):
            self._mail.take(body)
            self._transport.write(_CLOSED if closing else _KEPT)
        else:
            content = self._mail.answer(request)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            self._transport.write(head.encode() + content)
            closing = True
        if closing:
            self._transport.close()


async def _serve() -> None:
    mail = Mail()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(mail), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
