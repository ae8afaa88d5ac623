"""The task whose drain is measured."""

import os

from pgsupervise.django_app.tasks import task
from pgsupervise.supervisor import pace
from tests.bench.own.project import variables
from tests.bench.own.tally import Counter

_counter = Counter()

if variables.CHUNK in os.environ:
    # Not an option of pgsupervise, which finds the chunk's size by itself: this is how the curve holds it down.
    if not hasattr(pace, "LARGEST_CHUNK"):
        raise RuntimeError("pace.LARGEST_CHUNK has another name now: the curve of chunk sizes must follow")
    pace.LARGEST_CHUNK = int(os.environ[variables.CHUNK])


@task
def count(number: int) -> None:
    """Note that this number has run, and when: two microseconds, no database."""
    _counter.add(number)
