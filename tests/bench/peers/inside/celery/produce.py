"""Celery's producer: one connection, one message a call; there is no call for many."""

import producing
from app import app, count


def setup():
    """Nothing is to be made."""


def bulk(numbers):
    """Enqueue many."""
    with app.producer_pool.acquire(block=True) as producer:
        for number in numbers:
            count.apply_async((number,), producer=producer)


def single(number):
    """Enqueue one."""
    count.delay(number)


producing.main(setup, bulk, single)
