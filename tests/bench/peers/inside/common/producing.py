"""The producer's command line, the same for all: setup; bulk, single FIRST COUNT; steady FIRST COUNT PER_SECOND."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from counting import ask

Opened = Callable[[], AbstractAsyncContextManager[Any]]
Done = Awaitable[object] | None


def main(
    setup: Callable[[], Done],
    bulk: Callable[[range], Done],
    single: Callable[[int], Done],
    opened: Opened | None = None,
) -> None:
    """Do what the command line says, and print the seconds that it took.

    `bulk` takes a range of numbers, `single` a number. A peer whose functions are coroutines gives an asynchronous
    context manager too, which is entered before any of them is called.
    """
    if opened is None:
        _drive(_run(setup, bulk, single, time.sleep))
    else:
        asyncio.run(_within(opened, _run(setup, bulk, single, asyncio.sleep)))


async def _within(opened: Opened, work: Coroutine[Any, Any, None]) -> None:
    async with opened():
        await work


async def _run(
    setup: Callable[[], Done],
    bulk: Callable[[range], Done],
    single: Callable[[int], Done],
    sleep: Callable[[float], Done],
) -> None:
    what, *given = sys.argv[1:]
    first, count, per_second = [*map(int, given), 0, 0, 0][:3]
    numbers = range(first, first + count)
    began = time.monotonic()
    match what:
        case "setup":
            await _done(setup())
        case "bulk":
            await _done(bulk(numbers))
        case "single":
            for number in numbers:
                await _done(single(number))
        case "steady":
            await _steadily(single, numbers, per_second, sleep)
    sys.stdout.write(json.dumps({"seconds": time.monotonic() - began}) + "\n")


async def _steadily(
    single: Callable[[int], Done], numbers: range, per_second: int, sleep: Callable[[float], Done]
) -> None:
    began = time.monotonic()
    for place, number in enumerate(numbers):
        early = began + place / per_second - time.monotonic()
        if early > 0:
            await _done(sleep(early))
        ask(number)
        await _done(single(number))


async def _done(result: Done) -> None:
    if isinstance(result, Awaitable):
        await result


def _drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits, without an event loop: Django refuses its ORM where one runs."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("a peer that gave nothing to enter was awaited")
