"""A huey app of one task, without results."""

import os

import counting
from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"], results=False)


@huey.task()
def count(number):
    """Count itself."""
    counting.count(number)
