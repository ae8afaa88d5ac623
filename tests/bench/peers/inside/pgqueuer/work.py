"""One worker process of pgqueuer."""

import asyncio
import os
import signal

import asyncpg
import uvloop
from counting import count
from pgqueuer import PgQueuer
from pgqueuer.models import Job

BATCH = 1000


async def main() -> None:
    """Work until TERM."""
    queuer = PgQueuer.from_asyncpg_connection(await asyncpg.connect(os.environ["BENCH_DSN"]))

    @queuer.entrypoint("count")
    async def body(job: Job) -> None:
        count(int(job.payload))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    await queuer.run(batch_size=BATCH)


uvloop.run(main())
