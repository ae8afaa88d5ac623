"""The chaos suite's tasks. Each gets a number that is nobody else's, for a task does not know its own id."""

import time

from pgsupervise.django_app.tasks import task
from tests.chaos.ledger import recorded, times_begun


@task
def quick(number: int, seconds: float) -> None:
    """Take a few milliseconds."""
    with recorded(number):
        time.sleep(seconds)


@task
def ordered(number: int, seconds: float) -> None:
    """Be one of many with the same key, whose numbers rise."""
    with recorded(number):
        time.sleep(seconds)


@task
def slow(number: int, seconds: float) -> None:
    """Take long enough to be cut."""
    with recorded(number):
        time.sleep(seconds)


@task
def slower_again(number: int, first: float, later: float) -> None:
    """Take longer when it has been begun before."""
    with recorded(number):
        time.sleep(later if times_begun(number) > 1 else first)
