"""Points in time that callers pass in."""

from datetime import datetime, timedelta

from django.utils import timezone

from .texts import shorten

NEAR = timedelta(seconds=2.5)
"""A worker that sleeps looks every two seconds."""


def is_near(run_at: datetime | timedelta) -> bool:
    """Return whether a time comes before a worker that sleeps would look by itself.

    By this machine's clock: where that is wrong a task is begun two seconds later, or a worker is woken in vain.
    """
    return (run_at if isinstance(run_at, timedelta) else run_at - timezone.now()) < NEAR


def check_aware(value: object, what: str, otherwise: str) -> None:
    """Refuse anything but an aware datetime; `what` names the value and `otherwise` what else may be given.

    Raises TypeError for another type, and ValueError for a naive datetime: whose midnight it means nobody can tell.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{what} is {shorten(value)} ({type(value).__name__}): pass an aware datetime, or {otherwise}")
    if value.utcoffset() is None:
        raise ValueError(
            f"{what} is {value.isoformat()} without a time zone: pass an aware datetime, such as "
            f"django.utils.timezone.now() gives, or {otherwise}"
        )


def second(at: datetime) -> str:
    """Return a time as it is told in a terminal: without what is shorter than a second."""
    return at.isoformat(" ", "seconds")
