"""chancy's producer: a thousand jobs a transaction."""

import producing
from app import chancy, count, queue
from chunks import chunks


async def setup():
    """Make the tables and the queue."""
    await chancy.migrate()
    await chancy.declare(queue)


async def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        async for _ in chancy.push_many([count.job.with_kwargs(number=number) for number in chunk]):
            pass


async def single(number):
    """Enqueue one."""
    await chancy.push(count.job.with_kwargs(number=number))


producing.main(setup, bulk, single, lambda: chancy)
