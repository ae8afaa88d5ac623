"""PostgreSQL's wire protocol, as much of it as tells which statement a reply belongs to."""

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# Of a longer body only this much is looked at: it holds any statement's beginning, and no bulk data is gathered.
LOOKED_AT = 65536
STARTUP_LIMIT = 10_000  # PostgreSQL's own; anything longer is no startup packet
CANCEL, SSL, GSSENC = 80877102, 80877103, 80877104
FROM_CLIENT, FROM_SERVER = b"QPBECDHSF", b"CEGZ"
UNASKED = b"ANS"  # notification, notice, parameter: they come at any time and answer nothing


@dataclass
class Cycle:
    """What a client sends up to one ReadyForQuery, and how that was answered."""

    statements: list[str] = field(default_factory=list)
    complete: bool = True  # the client has sent all of it
    extended: bool = False
    copying: bool = False
    withheld: bool | None = None  # None: nothing was answered yet
    tags: list[str] = field(default_factory=list)
    failed: bool = False
    status: str = ""

    @property
    def committed(self) -> bool:
        """Whether it was carried out and has left no transaction open."""
        return self.status == "I" and bool(self.tags) and not self.failed


class Messages:
    """Cuts one direction into messages; bodies are kept of the wanted kinds only."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._partial = b""
        self._skip = 0

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Return kind and body of the messages that have arrived; a body that is not kept is not waited for either."""
        found: list[tuple[int, bytes]] = []
        data, size = self._partial + chunk, len(self._partial) + len(chunk)
        at = min(self._skip, size)
        self._skip -= at
        while size - at >= 5:
            kind, length = data[at], int.from_bytes(data[at + 1 : at + 5], "big")
            looked_at = min(length - 4, LOOKED_AT) if kind in self._wanted else 0
            if size - at - 5 < looked_at:
                break
            found.append((kind, data[at + 5 : at + 5 + looked_at]))
            end = at + 1 + max(length, 4)  # a length below 4 is no PostgreSQL; it must not stop us here for ever
            at = min(end, size)
            self._skip = end - at
        self._partial = data[at:]
        return found


class Conversation:
    """Both directions of one connection, put together into cycles.

    `suspect` is asked once for each cycle, when its answer begins, whether the answer is to be withheld until it ends.
    """

    def __init__(self, suspect: Callable[[Cycle], bool]) -> None:
        self._suspect = suspect
        self._opaque = False  # encrypted, or a cancellation: there is nothing to understand
        self._starting = True
        self._startup = b""
        self._unanswered = 0  # requests for encryption, answered by one bare byte each
        self._client, self._server = Messages(FROM_CLIENT), Messages(FROM_SERVER)
        self._cycles: deque[Cycle] = deque()
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}

    @property
    def withholding(self) -> bool:
        """Whether an answer that is to be withheld has begun and not ended."""
        return bool(self._cycles) and bool(self._cycles[0].withheld)

    def from_client(self, chunk: bytes) -> None:
        """Take note of what the client sends."""
        if self._starting and not self._opaque:
            chunk = self._start(chunk)
        if not self._opaque:
            for kind, body in self._client.feed(chunk):
                self._asked(kind, body)

    def from_server(self, chunk: bytes) -> list[Cycle]:
        """Take note of what the server sends and return the cycles that end with it."""
        while chunk and self._unanswered and not self._opaque:
            self._unanswered -= 1
            self._opaque, chunk = chunk[:1] != b"N", chunk[1:]
        if self._opaque:
            return []
        ended = []
        for kind, body in self._server.feed(chunk):
            if self._cycles and kind not in UNASKED:
                self._answered(self._cycles[0], kind, body)
            if self._cycles and self._cycles[0].status:
                ended.append(self._cycles.popleft())
        return ended

    def _start(self, chunk: bytes) -> bytes:
        """Read the packets that come before any message and return what follows them."""
        self._startup += chunk
        while len(self._startup) >= 8:
            length, code = struct.unpack("!II", self._startup[:8])
            self._opaque = code == CANCEL or not 8 <= length <= STARTUP_LIMIT
            if self._opaque or len(self._startup) < length:
                return b""
            self._startup = self._startup[length:]
            if code not in (SSL, GSSENC):
                self._starting = False
                self._cycles.append(Cycle())  # authentication ends with a ReadyForQuery too
                return self._startup
            self._unanswered += 1
        return b""

    def _asked(self, kind: int, body: bytes) -> None:
        match chr(kind):
            case "Q":
                self._cycles.append(Cycle([_text(body.split(b"\0", 1)[0])]))
            case "F":
                self._cycles.append(Cycle())
            case "S":
                self._synced()
            case "P" | "B" | "E" | "C" | "D" | "H":
                self._extended(chr(kind), body)

    def _extended(self, kind: str, body: bytes) -> None:
        cycle = self._open_cycle()
        first, second = [*body.split(b"\0", 2), b""][:2]
        match kind:
            case "P":
                self._prepared[first] = _text(second)
            case "B":
                self._portals[first] = self._prepared.get(second, "")
            case "E":
                cycle.statements.append(self._portals.get(first, ""))
            case "C":
                (self._prepared if first[:1] == b"S" else self._portals).pop(first[1:], None)

    def _open_cycle(self) -> Cycle:
        if not self._cycles or self._cycles[-1].complete:
            self._cycles.append(Cycle(complete=False, extended=True))
        return self._cycles[-1]

    def _synced(self) -> None:
        # The Sync that was sent with a COPY is ignored by the server, and the one after its data counts.
        if self._cycles and self._cycles[0].copying:
            self._cycles[0].copying = False
        else:
            self._open_cycle().complete = True

    def _answered(self, cycle: Cycle, kind: int, body: bytes) -> None:
        if cycle.withheld is None:
            # A client that flushes reads answers before it ends the cycle: withheld, both would wait for ever.
            cycle.withheld = cycle.complete and self._suspect(cycle)
        match chr(kind):
            case "C":
                cycle.tags.append(_text(body[:-1]))
            case "E":
                cycle.failed = True
            case "G":
                cycle.copying, cycle.withheld = cycle.extended and cycle.complete, False
            case "Z":
                cycle.status = _text(body)


def _text(body: bytes) -> str:
    return body.decode(errors="replace")
