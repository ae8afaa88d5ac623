"""dramatiq's producer: one message a call; there is no call for many."""

import producing
from app import count


def setup():
    """Nothing is to be made."""


def bulk(numbers):
    """Enqueue many."""
    for number in numbers:
        count.send(number)


def single(number):
    """Enqueue one."""
    count.send(number)


producing.main(setup, bulk, single)
