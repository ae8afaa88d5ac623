"""django-tasks-db's producer: there is no call for many, so bulk is one transaction."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

import producing  # noqa: E402 - what is imported from here on imports models
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from tasks import count  # noqa: E402


def setup():
    """Make the tables."""
    call_command("migrate", verbosity=0)


def bulk(numbers):
    """Enqueue many."""
    with transaction.atomic():
        for number in numbers:
            count.enqueue(number)


def single(number):
    """Enqueue one."""
    count.enqueue(number)


connection.ensure_connection()
producing.main(setup, bulk, single)
