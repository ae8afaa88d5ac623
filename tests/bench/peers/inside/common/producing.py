"""The producer's command line, the same for all peers: setup; bulk, single FIRST COUNT; steady FIRST COUNT PER_SECOND."""

import asyncio
import json
import sys
import time

from counting import ask


def main(setup, bulk, single, opened=None):
    """Do what the command line says, and print the seconds that it took.

    `bulk` takes a range of numbers, `single` a number. A peer whose functions are coroutines gives an `opened`
    context manager too, an asynchronous one, which is entered before any of them is called.
    """
    if opened is None:
        _drive(_run(setup, bulk, single, time.sleep))
    else:

        async def within():
            async with opened():
                await _run(setup, bulk, single, asyncio.sleep)

        asyncio.run(within())


async def _run(setup, bulk, single, sleep):
    what, *numbers = sys.argv[1:]
    first, count, *rate = map(int, numbers or ["0", "0"])
    wanted = range(first, first + count)
    began = time.monotonic()
    if what == "setup":
        await _done(setup())
    elif what == "bulk":
        await _done(bulk(wanted))
    elif what == "single":
        for number in wanted:
            await _done(single(number))
    else:
        await _steadily(single, wanted, rate[0], sleep)
    sys.stdout.write(json.dumps({"seconds": time.monotonic() - began}) + "\n")


async def _steadily(single, wanted, per_second, sleep):
    began = time.monotonic()
    for place, number in enumerate(wanted):
        early = began + place / per_second - time.monotonic()
        if early > 0:
            await _done(sleep(early))
        ask(number)
        await _done(single(number))


async def _done(result):
    return await result if hasattr(result, "__await__") else result


def _drive(coroutine):
    """Run a coroutine that never waits, without an event loop: Django refuses its ORM where one runs."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("a peer without an event loop was awaited")
