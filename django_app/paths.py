"""Dotted paths to what an event has, such as "data.project.id": checked when they are declared, read when needed."""

from collections.abc import Mapping, Sequence

from .texts import shorten


def path_problems(path: object, what: str, *, plain: Sequence[str] = (), nested: Sequence[str] = ()) -> list[str]:
    """Return why no event can have this path, with the cure; `nested` roots need at least one name behind them."""
    if isinstance(path, str):
        root, *names = path.split(".")
        if (path in plain) or (root in nested and names and all(names)):
            return []
    allowed = ", ".join([*plain, *(f"{root}.<name>" for root in nested)])
    return [f"{what} is {shorten(path)}: no event can have that; give one of {allowed}"]


def value_at(value: object, names: Sequence[str]) -> object:
    """Return what lies below a JSON value; None where there is nothing."""
    for name in names:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list | tuple) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
