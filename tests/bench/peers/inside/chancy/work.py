"""One worker process of chancy."""

import asyncio

from app import chancy
from chancy import Worker


async def main():
    """Work until TERM."""
    async with chancy, Worker(chancy) as worker:
        await worker.wait_for_shutdown()


asyncio.run(main())
