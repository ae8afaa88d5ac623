"""What tests must not do to a real database: freeze its clock, or write mail down as sent that never was."""

import re

from django.conf import settings

from .bulk import write_connection
from .models import Clock

RECORDED = "recorded"
"""The provider's id of a message that a test's channel took: it went nowhere."""
_TEST = re.compile(r"(^|[^a-z])test([^a-z]|$)")


class ClockError(RuntimeError):
    """The clock cannot be frozen or moved, or not flush by it; the message says why, and the cure."""


def real_database() -> str:
    """Return the name of the database where it may be a real one; "" where DEBUG is on, or it is a test's.

    A test's is the one that DATABASES names for tests, or one of whose name "test" is a word: Django's runner and
    pytest-django put it before the name.
    """
    if settings.DEBUG:
        return ""
    given = write_connection(Clock).settings_dict
    name = str(given["NAME"])
    is_tests = name == (given.get("TEST") or {}).get("NAME") or _TEST.search(name.lower())
    return "" if is_tests else name
