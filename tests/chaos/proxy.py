"""A loopback proxy in front of PostgreSQL that breaks connections, holds bytes and loses replies when told to."""

import asyncio
import math
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Self, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.chaos.link import Connector, Count, Direction, Link, Weather
from tests.chaos.lost_reply import Arm

__all__ = ["Arm", "Count", "Direction", "Proxy"]

T = TypeVar("T")
HOST = "127.0.0.1"
BACKLOG = 512  # a supervisor's workers all come back at once after a reset
ANSWER_SECONDS = 30


class Proxy:
    """Listens until `close()`. One thread and its event loop serve all connections; any thread may call the methods."""

    def __init__(self, upstream_dsn: str) -> None:
        upstream = conninfo_to_dict(upstream_dsn)
        self._connect = _connector(str(upstream["host"]), int(upstream.get("port") or 5432))
        self._listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        port = self._listener.getsockname()[1]
        self.dsn = make_conninfo(upstream_dsn, host=HOST, port=port, sslmode="disable", gssencmode="disable")
        self._weather = Weather()
        self._links: dict[asyncio.Task[None], Link] = {}
        self._stalled_until = dict.fromkeys(Direction.BOTH.ways, 0.0)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self._errors.append(context.get("exception") or context))
        self._errors: list[object] = []
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def counts(self) -> dict[Count, int]:
        """What happened so far."""
        return {count: self._weather.counts[count] for count in Count}

    def connections(self) -> int:
        """Return how many connections there are, of which both ends are there."""
        return self._ask(lambda: len(self._alive()))

    def reset_all(self) -> int:
        """Cut off all connections by RST, and return how many; not those of clients that have gone already."""
        return self._ask(lambda: self._reset(self._alive()))

    def reset_some(self, random: Random, share: float) -> int:
        """Cut off that share of the connections, rounded up, and return how many."""

        def reset() -> int:
            alive = self._alive()
            return self._reset(random.sample(alive, math.ceil(len(alive) * share)))

        return self._ask(reset)

    def stall(self, direction: Direction, seconds: float) -> int:
        """Hold all bytes and closes of a direction, on new connections too; return how many there are.

        Returns at once. A stall during another one can only prolong it. What is held is sent when the stall ends, to
        the server also if its client has gone meanwhile.
        """
        return self._ask(partial(self._stall, direction, seconds))

    def holding(self, direction: Direction = Direction.BOTH) -> int:
        """Return how many connections have bytes held now."""
        return self._ask(lambda: sum(any(map(link.holds, direction.ways)) for link in self._links.values()))

    def release(self, direction: Direction = Direction.BOTH) -> int:
        """End stalls now, and return how many connections had bytes held."""
        return self._ask(partial(self._release, direction))

    def drop_next_commit_reply(self, match: str | None = None) -> Arm:
        """Lose the reply to the next COMMIT and reset its client; what was committed stays so.

        With `match`: to the next statement containing it that commits by itself.
        """
        arm = Arm(match)

        def add() -> None:
            self._weather.arms[:] = [*(known for known in self._weather.arms if known.armed), arm]

        self._ask(add)
        return arm

    def close(self) -> None:
        """Close all connections and stop listening; say so if the proxy itself has failed. Again, do nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()
            assert not self._errors, self._errors

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        with self._listener:
            self._loop.add_reader(self._listener, self._accept)
            await self._closing.wait()
            self._loop.remove_reader(self._listener)
        for task in self._links:
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(self) -> None:
        with suppress(OSError):  # it has gone again
            accepted, _ = self._listener.accept()
            accepted.setblocking(False)
            link = Link(self._weather)
            task = self._loop.create_task(link.run(accepted, self._connect))
            self._links[task] = link
            task.add_done_callback(self._links.pop)
            self._weather.counts[Count.ACCEPTED] += 1

    def _ask(self, question: Callable[[], T]) -> T:
        async def answer() -> T:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(ANSWER_SECONDS)

    def _alive(self) -> list[Link]:
        return [link for link in self._links.values() if link.alive]

    def _reset(self, links: list[Link]) -> int:
        for link in links:
            link.reset()
        self._weather.counts[Count.RESET] += len(links)
        return len(links)

    def _stall(self, direction: Direction, seconds: float) -> int:
        until = self._loop.time() + seconds
        for way in direction.ways:
            self._stalled_until[way] = max(self._stalled_until[way], until)
            self._weather.stalled.add(way)
            self._loop.call_at(until, self._release_if_due, way, until)
        self._weather.counts[Count.STALLS] += 1
        return len(self._alive())

    def _release_if_due(self, way: Direction, time: float) -> None:
        if self._stalled_until[way] <= time:
            self._release(way)

    def _release(self, direction: Direction) -> int:
        had_held = set()
        for way in direction.ways:
            self._stalled_until[way] = 0.0
            self._weather.stalled.discard(way)
            had_held |= {link for link in self._links.values() if link.flow(way)}
        self._weather.counts[Count.HELD] += len(had_held)
        return len(had_held)


def _connector(host: str, port: int) -> Connector:
    """Return what connects a protocol with the server."""
    if host.startswith("/"):
        return lambda protocol: asyncio.get_running_loop().create_unix_connection(protocol, f"{host}/.s.PGSQL.{port}")
    return lambda protocol: asyncio.get_running_loop().create_connection(protocol, host, port)
