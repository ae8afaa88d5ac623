"""A dramatiq app of one actor."""

import os

import counting
import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS"]))


@dramatiq.actor
def count(number):
    """Count itself."""
    counting.count(number)
