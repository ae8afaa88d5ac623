"""Columns of many rows as PostgreSQL's array texts: psycopg adapts a list element by element, in Python, which for a
chunk costs more than all else that is done with it.
"""

from collections.abc import Iterable
from datetime import datetime


def numbers(values: Iterable[int]) -> str:
    """Return the array of some numbers."""
    return _braced(map(str, values))


def numbers_or_null(values: Iterable[int | None]) -> str:
    """Return the array of some numbers, or NULL for None."""
    return _braced("NULL" if value is None else str(value) for value in values)


def times(values: Iterable[datetime]) -> str:
    """Return the array of some aware datetimes."""
    return _braced(map(datetime.isoformat, values))


def times_or_null(values: Iterable[datetime | None]) -> str:
    """Return the array of some aware datetimes, or NULL for None."""
    return _braced("NULL" if value is None else value.isoformat() for value in values)


def texts(values: Iterable[str]) -> str:
    """Return the array of some texts, whatever is in them."""
    return _braced(map(_quoted, values))


def _quoted(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    return f'"{text}"'


def _braced(elements: Iterable[str]) -> str:
    return f"{{{','.join(elements)}}}"
