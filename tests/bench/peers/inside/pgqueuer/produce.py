"""pgqueuer's producer: a thousand jobs a statement."""

import os
from contextlib import asynccontextmanager

import asyncpg
import producing
from chunks import chunks
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

queries = None


@asynccontextmanager
async def opened():
    """Connect."""
    global queries
    connection = await asyncpg.connect(os.environ["BENCH_DSN"])
    queries = Queries(AsyncpgDriver(connection))
    yield
    await connection.close()


async def setup():
    """Make the tables."""
    await queries.install()


async def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        payloads = [str(number).encode() for number in chunk]
        await queries.enqueue(["count"] * len(chunk), payloads, [0] * len(chunk))


async def single(number):
    """Enqueue one."""
    await queries.enqueue("count", str(number).encode())


producing.main(setup, bulk, single, opened)
