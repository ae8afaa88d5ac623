"""Points in time that callers pass in."""

from datetime import datetime

from .texts import shorten


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
