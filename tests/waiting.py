"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], T], timeout: float = 20.0, message: str = "the condition holds") -> T:
    """Return the condition's first truthy value; after `timeout` seconds fail with the last one seen.

    The timeout only ends a test that hangs: it is generous, and nothing is asserted about how long anything took.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s until {message}; the last value was {value!r}")
        time.sleep(POLL_SECONDS)
    return value
