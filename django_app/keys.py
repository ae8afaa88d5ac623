"""Keys: which events of a recipient share a digest.

"recipient" is one digest of all. "object", "actor", "tenant" and "data.<name>" are one for each value there, a tuple of
these one for each combination, and a function of the Notification says itself, with a text. An event that has no such
value has the key "".
"""

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from .paths import path_problems, value_at
from .texts import check_text, shorten

if TYPE_CHECKING:
    from .notifications import Notification

MAX_KEY = 500
PLAIN = ("recipient", "object", "actor", "tenant")
NESTED = ("data",)
KeyOf = Callable[["Notification"], str]
Key = str | tuple[str, ...] | KeyOf


def key_problems(key: object) -> list[str]:
    """Return why this is no key, each with its cure."""
    if callable(key):
        return []
    if isinstance(key, tuple):
        if not key:
            return ["key is (): give at least one path, or 'recipient' for one digest of all"]
        return [problem for path in key for problem in path_problems(path, "key", plain=PLAIN, nested=NESTED)]
    return path_problems(key, "key", plain=PLAIN, nested=NESTED)


@lru_cache(maxsize=1000)
def reader(key: Key) -> KeyOf:
    """Return what finds an event's key. It raises TypeError or ValueError where a function gives no text that fits."""
    if isinstance(key, str):
        return _path_reader(key)
    if isinstance(key, tuple):
        readers = [_path_reader(path) for path in key]
        # As JSON: ("a b", "c") and ("a", "b c") are two keys. Of nothing at all the key is "", too.
        return lambda event: _fitted(_joined([read(event) for read in readers]))
    given = key

    def called(event: "Notification") -> str:
        found = given(event)
        check_text(found, "the key that the policy's function gave", MAX_KEY)
        return found

    return called


def _path_reader(path: str) -> KeyOf:
    root, *names = path.split(".")
    match root:
        case "recipient":
            return lambda event: ""  # every batch is one recipient's
        case "object":
            return lambda event: event.object
        case "actor":
            return lambda event: event.actor
        case "tenant":
            return lambda event: getattr(event, "tenant", "")
    return lambda event: _fitted(_text(value_at(event.data, names)))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):  # data that is no JSON is refused by itself, with its cure
        return shorten(value)


def _joined(values: list[str]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) if any(values) else ""


def _fitted(key: str) -> str:
    """Return a key that the column can hold; of a longer one the beginning and a hash, so that two stay two."""
    if len(key) <= MAX_KEY:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[: MAX_KEY - len(digest) - 1]}#{digest}"
