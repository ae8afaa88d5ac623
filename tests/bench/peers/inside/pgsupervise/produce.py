"""pgsupervise's producer: COPY by enqueue_many, and enqueue with a commit each."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.project.settings"
django.setup()

import producing  # noqa: E402 - what is imported from here on imports models
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from tests.bench.project.tasks import count  # noqa: E402


def setup() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


def bulk(numbers: range) -> None:
    """Enqueue many."""
    count.enqueue_many((number,) for number in numbers)


def single(number: int) -> None:
    """Enqueue one."""
    count.enqueue(number)


if __name__ == "__main__":
    connection.ensure_connection()
    producing.main(setup, bulk, single)
