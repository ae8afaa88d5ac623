"""Which tests run when and beside which: the long ones first and one by one, the short ones a file at a time.

A test that starts last must be a short one, or all processes but its own wait for it. And a long file whose tests share
nothing must not be one process's alone.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

IN_A_ROW = "tests/lifecycle/test_replay.py::test_killing_workers"
"""Kills come by the clock: side by side these slow each other down, and the slower one is, the more it has to redo."""
# In this order; a folder stands for what is in it. The mixed faults are under time limits for a minute: beside them run
# those tests that mostly wait; then those that compute, the longest first.
LONG = (
    "tests/chaos/test_chaos.py",
    "tests/lifecycle/test_trouble.py",
    "tests/lifecycle/test_deadlines.py",
    "tests/lifecycle/test_observing.py",
    "tests/lifecycle/test_pgbouncer.py",
    "tests/lifecycle/test_recycling.py",
    "tests/lifecycle/test_sendgrid_digests.py",
    "tests/lifecycle/test_sharing.py",
    "tests/lifecycle/test_stopping.py",
    "tests/lifecycle/test_tasks.py",
    "tests/integration/test_django_versions.py",
    IN_A_ROW,
    "tests/chaos/test_sending.py",
    "tests/lifecycle/",
    "tests/unit/test_model.py",
    "tests/integration/test_ownership_machine.py",
    "tests/integration/test_notification_machine.py",
    "tests/integration/test_worker_lives.py",
    "tests/unit/test_calendars.py",
    "tests/unit/test_folding.py",
    "tests/integration/",
)
ONE_BY_ONE = (
    "tests/chaos/test_chaos.py",
    "tests/integration/test_ownership_machine.py",
    "tests/lifecycle/",
)


def place(nodeid: str) -> int:
    """Return a test's place in the order; those with the same one stay as they were collected."""
    return next((number for number, path in enumerate(LONG) if nodeid.startswith(path)), len(LONG))


def unit(nodeid: str) -> str:
    """Return the name of what one process runs as a whole: a test of its own, all cases of one, or all of a file."""
    if nodeid.startswith(IN_A_ROW):
        return nodeid.partition("[")[0]
    return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]


class Distribution(LoadScopeScheduling):  # type: ignore[misc]  # xdist is published without type information
    """Hands out units in the order of the tests, as long as --no-loadscope-reorder lets it."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)  # there is no such hook where the tests run without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Refine `--dist loadfile`; leave any other choice alone."""
    return Distribution(config, log) if config.getoption("dist") == "loadfile" else None
