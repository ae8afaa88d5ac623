"""A chancy app of one asynchronous job; each worker runs up to 500 side by side."""

import logging
import os

import counting
from chancy import Chancy, Queue, job

chancy = Chancy(os.environ["BENCH_DSN"], log=logging.getLogger("quiet"))
queue = Queue("default", concurrency=500, executor=Chancy.Executor.Async, polling_interval=1, eager_polling=True)


@job(queue="default")
async def count(*, number: int):
    """Count itself."""
    counting.count(number)
