"""The pytest plugin: `pytest_plugins = ["pgsupervise.django_app.testing_plugin"]` in the project's conftest.py.

def test_a_comment_waits_for_five_minutes(pgsupervise_clock):
    notify("comments", "ann@example.com")
    pgsupervise_clock.advance(timedelta(minutes=5))
    assert [digest.recipient for digest in flush_due()] == ["ann@example.com"]
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .clock import Frozen


@pytest.fixture
def pgsupervise_clock(request: pytest.FixtureRequest) -> Iterator["Frozen"]:
    """Freeze the event clock for the test; `freeze(at)` sets it to another time."""
    # The fixture by which pytest-django, or the project's own conftest.py, lets a test use the database.
    with suppress(pytest.FixtureLookupError):
        request.getfixturevalue("db")
    from .clock import freeze  # it imports models, and pytest imports plugins before Django is set up

    with freeze() as clock:
        yield clock
