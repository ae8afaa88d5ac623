"""One client's connection through the proxy: two sockets, and the bytes that are on their way between them."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.lost_reply import Arm
from tests.chaos.pgwire import Conversation

CONNECT_SECONDS = 10
GOODBYE = b"X\0\0\0\4"
Connector = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]


class Direction(StrEnum):
    """Which way bytes go."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"
    BOTH = "both"

    @property
    def ways(self) -> tuple["Direction", ...]:
        """Return the single directions that it stands for."""
        return (Direction.TO_SERVER, Direction.TO_CLIENT) if self is Direction.BOTH else (self,)


class Count(StrEnum):
    """What the proxy counts; all are numbers of connections, but for `STALLS`."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # the server was away
    RESET = "reset"
    STALLS = "stalls"
    HELD = "held"  # had bytes that a stall held until its end
    LATE = "late"  # of those: the server got them, and not only a goodbye, after the client had gone
    REPLY_LOST = "reply_lost"


@dataclass
class Weather:
    """The faults that all links are under, and the count of what they did."""

    stalled: set[Direction] = field(default_factory=set)
    arms: list[Arm] = field(default_factory=list)
    counts: Counter[Count] = field(default_factory=Counter)


class End(asyncio.Protocol):
    """One of a link's two sockets."""

    transport: asyncio.Transport | None = None

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._received, self._lost = received, lost
        self._opposite: End | None = None
        self.closed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether it can be written to."""
        return self.transport is not None and not self.transport.is_closing()

    def face(self, opposite: "End") -> None:
        """Read no faster than the other one takes it."""
        self._opposite = opposite

    def reading(self, wanted: bool) -> None:
        """Go on reading, or leave it to the sender to wait."""
        if self.transport is not None:
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on what has come."""
        self._received(data)

    def eof_received(self) -> None:
        """Close at once: neither libpq nor PostgreSQL ever closes only one half."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on that nothing more will come."""
        self.closed.set()
        self._lost()

    def pause_writing(self) -> None:
        """Slow the opposite end down."""
        if self._opposite:
            self._opposite.reading(False)

    def resume_writing(self) -> None:
        """Let the opposite end go on."""
        if self._opposite:
            self._opposite.reading(True)

    def abort(self) -> None:
        """Close without sending what waits here to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def reset(self) -> None:
        """Close with an RST instead of a FIN."""
        if self.transport is not None:
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()


class Pipe:
    """One direction of one link: passes bytes on, or holds them while there is nowhere to send them."""

    def __init__(self, target: End, finish: Callable[[asyncio.Transport], None], blocked: Callable[[], bool]) -> None:
        self._target, self._finish, self._blocked = target, finish, blocked
        self._held: list[bytes] = []
        self._ending = False

    @property
    def held(self) -> tuple[bytes, ...]:
        """What waits here."""
        return tuple(self._held)

    def write(self, chunk: bytes) -> None:
        """Send a chunk, now or later."""
        if self._target.closed.is_set():
            return
        self._held.append(chunk)
        if not self._blocked():
            self.flow()

    def end(self) -> None:
        """Pass on that the sender has closed, after what is held."""
        self._ending = True
        if not self._blocked():
            self.flow()

    def flow(self) -> bool:
        """Send what was held, and return whether there was anything to send and somebody to take it."""
        held, self._held = self._held, []
        transport = self._target.transport
        if transport is None or transport.is_closing():
            return False
        for chunk in held:
            transport.write(chunk)
        if self._ending:
            self._finish(transport)
        return bool(held)


class Link:
    """A client, a server, and what is known of their conversation."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._conversation = Conversation(lambda cycle: any(arm.suspects(cycle) for arm in weather.arms))
        self._withheld: list[bytes] = []
        self._open = False
        self.client = End(self._from_client, self._client_lost)
        self.server = End(self._from_server, self._server_lost)
        self.client.face(self.server)
        self.server.face(self.client)
        self._pipes = {
            Direction.TO_SERVER: Pipe(self.server, _close_writing, lambda: self._blocked(Direction.TO_SERVER)),
            Direction.TO_CLIENT: Pipe(self.client, _close, lambda: self._blocked(Direction.TO_CLIENT)),
        }

    @property
    def alive(self) -> bool:
        """Whether both ends are there."""
        return self._open and self.client.connected and self.server.connected

    def holds(self, direction: Direction) -> bool:
        """Whether bytes of a direction are held."""
        return bool(self._pipes[direction].held)

    async def run(self, accepted: socket.socket, connect: Connector) -> None:
        """Serve one client until both ends are closed; cancelled, close them."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connect(lambda: self.server)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self.client, accepted)
            self._open = True
            for direction in self._pipes:
                if not self._blocked(direction):
                    self.flow(direction)
            await self.client.closed.wait()
            await self.server.closed.wait()
        except OSError:
            self._weather.counts[Count.REFUSED] += 1
        finally:
            for end in (self.client, self.server):
                if end.transport is not None:
                    end.abort()
                    await end.closed.wait()
            accepted.close()

    def reset(self) -> None:
        """Cut both ends off; what is held is lost."""
        self.client.reset()
        self.server.abort()

    def flow(self, direction: Direction) -> bool:
        """Send what was held in one direction, and return whether there was anything."""
        late = self.client.closed.is_set() and any(chunk != GOODBYE for chunk in self._pipes[direction].held)
        flowed = self._open and self._pipes[direction].flow()
        if flowed and late and direction is Direction.TO_SERVER:
            self._weather.counts[Count.LATE] += 1
        return flowed

    def _blocked(self, direction: Direction) -> bool:
        return not self._open or direction in self._weather.stalled

    def _from_client(self, chunk: bytes) -> None:
        self._conversation.from_client(chunk)
        self._pipes[Direction.TO_SERVER].write(chunk)

    def _from_server(self, chunk: bytes) -> None:
        for cycle in self._conversation.from_server(chunk):
            arm = next((arm for arm in self._weather.arms if cycle.withheld and arm.claims(cycle)), None)
            if arm:
                self._lose_reply(arm)
                return
        self._withheld.append(chunk)
        if not self._conversation.withholding:
            self._let_through()

    def _lose_reply(self, arm: Arm) -> None:
        self._withheld.clear()
        self.reset()
        self._weather.counts[Count.REPLY_LOST] += 1
        arm.fired.set()

    def _let_through(self) -> None:
        chunks, self._withheld = self._withheld, []
        for chunk in chunks:
            self._pipes[Direction.TO_CLIENT].write(chunk)

    def _client_lost(self) -> None:
        self.server.reading(True)  # nobody takes it any more, so nobody can be too slow for it
        self._pipes[Direction.TO_SERVER].end()

    def _server_lost(self) -> None:
        self._let_through()
        self._pipes[Direction.TO_CLIENT].end()


def _close(transport: asyncio.Transport) -> None:
    transport.close()


def _close_writing(transport: asyncio.Transport) -> None:
    # Only this half: the server answers what came before, and a failed answer would end the rest of it.
    with suppress(OSError):
        transport.write_eof()
