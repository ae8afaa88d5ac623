"""rq's producer: a thousand jobs a call."""

import os

import producing
from body import count
from chunks import chunks
from redis import Redis
from rq import Queue

queue = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS"]))


def setup():
    """Nothing is to be made."""


def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        queue.enqueue_many([Queue.prepare_data(count, (number,), result_ttl=0) for number in chunk])


def single(number):
    """Enqueue one."""
    queue.enqueue(count, number, result_ttl=0)


producing.main(setup, bulk, single)
