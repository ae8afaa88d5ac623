"""One worker process of oban: up to 500 jobs side by side."""

import asyncio
import os
import signal

import app  # noqa: F401 - registers the job
import uvloop
from oban import Oban


async def main():
    """Work until TERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await Oban.create_pool(os.environ["BENCH_DSN"])
    async with Oban(pool=pool, queues={"default": 500}):
        await stop.wait()
    await pool.close()


uvloop.run(main())
