"""oban's producer: a thousand jobs a statement."""

import os
from contextlib import asynccontextmanager

import producing
from app import Count
from chunks import chunks
from oban import Oban, schema

oban = pool = None


@asynccontextmanager
async def opened():
    """Connect."""
    global oban, pool
    pool = await Oban.create_pool(os.environ["BENCH_DSN"])
    oban = Oban(pool=pool)  # a client only: it is not started
    yield
    await pool.close()


async def setup():
    """Make the tables."""
    await schema.install(pool)


async def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        await oban.enqueue_many(Count.new({"number": number}) for number in chunk)


async def single(number):
    """Enqueue one."""
    await oban.enqueue(Count.new({"number": number}))


producing.main(setup, bulk, single, opened)
