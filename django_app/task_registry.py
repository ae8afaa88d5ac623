"""The project's tasks by name: a row names its task, and a worker finds the function here."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from .texts import check_text, shorten

if TYPE_CHECKING:
    from .tasks import TaskFunction

    F = TypeVar("F", bound=TaskFunction[..., Any])

MAX_NAME = 200
_registry: dict[str, "TaskFunction[..., Any]"] = {}
registry: Mapping[str, "TaskFunction[..., Any]"] = MappingProxyType(_registry)


def register(new: "F") -> "F":
    """Make the task known by its name and return it. Raises ValueError when another function has that name."""
    check_text(new.name, "a task's name", MAX_NAME, required=True)
    old = _registry.get(new.name)
    # A module that is imported again (autoreload) declares the same function anew, from the same place.
    if old is not None and place(old.function) != place(new.function):
        raise ValueError(
            f"two tasks are named {new.name!r}: {place(old.function)} and {place(new.function)}; rename one, or give "
            "it another name with @task(name=...)"
        )
    _registry[new.name] = new
    return new


def default_name(function: Callable[..., Any]) -> str:
    """Return `module.qualname`. Raises ValueError where a worker could not find the function by it."""
    name = f"{function.__module__}.{function.__qualname__}"
    if "<" in name or name.startswith("__main__."):
        raise ValueError(
            f"{name} ({place(function)}) cannot be found again by its name: declare the task at the top of a module, "
            "or give it a name with @task(name=...)"
        )
    return name


def place(function: Callable[..., Any]) -> str:
    """Return where a function is written, as `file:line`."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else shorten(function)
