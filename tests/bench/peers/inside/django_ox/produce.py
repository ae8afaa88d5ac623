"""django-ox's producer: a thousand tasks a call."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

import producing  # noqa: E402 - what is imported from here on imports models
from chunks import chunks  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django_ox.bulk import enqueue_many  # noqa: E402
from tasks import count  # noqa: E402


def setup():
    """Make the tables."""
    call_command("migrate", verbosity=0)


def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        enqueue_many(count, [((number,), {}) for number in chunk])


def single(number):
    """Enqueue one."""
    count.enqueue(number)


connection.ensure_connection()
producing.main(setup, bulk, single)
