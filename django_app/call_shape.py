"""Which calls a task's function accepts: asked at every enqueue, so the plain cases are answered without binding."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class CallShape:
    """A function's signature, prepared for many questions."""

    __slots__ = ("_least", "_most", "_named", "_required", "signature")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = inspect.signature(function)
        parameters = self.signature.parameters.values()
        required = [p for p in parameters if p.default is p.empty and p.kind not in VARIADIC]
        takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        # A required keyword-only parameter can never be met by position: then no number of arguments is enough.
        only_named = any(p.kind is p.KEYWORD_ONLY for p in required)
        self._least = sys.maxsize if only_named else len(required)
        self._most = sys.maxsize if takes_any else sum(p.kind in POSITIONAL for p in parameters)
        self._named = frozenset(p.name for p in parameters if p.kind in NAMED)
        self._required = frozenset(p.name for p in required)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError, in Python's own words, when the function cannot be called like this."""
        if not kwargs:
            if self._least <= len(args) <= self._most:
                return
        elif not args and self._required <= kwargs.keys() <= self._named:
            return
        self.signature.bind(*args, **kwargs)

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the call's arguments by the names of their parameters."""
        return self.signature.bind(*args, **kwargs).arguments
