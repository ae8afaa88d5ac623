"""Values that are stored as JSON: what a worker reads back is what the caller passed, or it is refused at once."""

import json
from collections.abc import Mapping
from typing import Any

MAX_BYTES = 1_000_000
SURELY_SHORT = MAX_BYTES // 4
"""So many characters are not too many bytes, whatever they are."""
# A worker reads claimed rows in bulk: one value nested too deeply for its parser would stop the rows beside it too.
MAX_DEPTH = 100

_TEXT = frozenset({str})
_SCALARS = frozenset({str, int, float, bool, type(None)})
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Return the value as compact JSON. Raises TypeError when it is not JSON; `fault` then says where and why.

    A tuple becomes an array. NaN, infinities, keys that are no str, NUL characters and lone surrogates are refused:
    Python would write them, but PostgreSQL's jsonb cannot hold them or a worker would read something else.
    """
    try:
        text = _encode(value)
    except (ValueError, RecursionError) as error:
        raise TypeError(str(error)) from None
    if "\\u0000" in text or not (_is_unicode(text) and _is_sound(value)):
        found = fault(value, "value")
        if found:
            raise TypeError(found)
    return text


def byte_length(text: str) -> int:
    """Return how many bytes the text takes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def oversize(size: int) -> str:
    """Return why a value of `size` bytes is refused, with the cure."""
    return f"{size} bytes of JSON, and {MAX_BYTES} are allowed: store the content in a table and pass its id"


def fault(value: object, where: str, depth: int = 0) -> str | None:
    """Return where the value is not JSON and why, or None when it is; `where` is the value's own name."""
    if depth > MAX_DEPTH:
        return f"{where[:60]}... is nested more than {MAX_DEPTH} levels deep: flatten it or pass an id"
    match value:
        case None | bool():
            return None
        case str():
            return _text_fault(value, where)
        case int() | float():
            return _number_fault(value, where)
        case list() | tuple():
            faults = (fault(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value))
            return next(filter(None, faults), None)
        case dict():
            faults = (_entry_fault(key, item, where, depth) for key, item in value.items())
            return next(filter(None, faults), None)
    return f"{where} is a {type(value).__name__}, which is not JSON: pass plain values, such as an id or an ISO date"


def named_fault(values: Mapping[str, object]) -> str | None:
    """Return the first fault among named values."""
    return next(filter(None, (fault(value, name) for name, value in values.items())), None)


def _entry_fault(key: object, value: object, where: str, depth: int) -> str | None:
    if not isinstance(key, str):
        return f"{where} has the key {key!a:.60} ({type(key).__name__}): keys of JSON objects must be str"
    return _text_fault(key, f"a key of {where}") or fault(value, f"{where}[{key!r:.60}]", depth + 1)


def _text_fault(value: str, where: str) -> str | None:
    if "\x00" in value:
        return f"{where} is a str with a NUL character, which jsonb cannot hold: remove it"
    if not _is_unicode(value):
        return f"{where} is a str with a lone surrogate, which is not Unicode text: decode it properly"
    return None


def _number_fault(value: float, where: str) -> str | None:
    try:
        _encode(value)
    except ValueError as error:
        return f"{where} is a {type(value).__name__} that JSON cannot hold: {error}"
    return None


def _is_sound(value: Any, depth: int = 0) -> bool:
    """Return False where only `fault` can tell: asked for every row, so it looks at containers alone."""
    if isinstance(value, dict):
        if not _TEXT.issuperset(map(type, value)):
            return False
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return True
    if depth > MAX_DEPTH:
        return False
    if _SCALARS.issuperset(map(type, value)):
        return True
    return all(_is_sound(item, depth + 1) for item in value)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
