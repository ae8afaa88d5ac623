"""The quick answers of `CallShape` against Python's own binding."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.django_app.call_shape import CallShape


def plain(a: Any, b: Any) -> None: ...
def defaults(a: Any, b: Any = 1) -> None: ...
def positional_only(a: Any, /, b: Any = 1) -> None: ...
def named_only(a: Any, *, b: Any) -> None: ...
def named_default(a: Any, *, b: Any = 1) -> None: ...
def any_positional(a: Any, *b: Any) -> None: ...
def any_named(a: Any, **b: Any) -> None: ...
def anything(*a: Any, **b: Any) -> None: ...
def nothing() -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        plain,
        defaults,
        positional_only,
        named_only,
        named_default,
        any_positional,
        any_named,
        anything,
        nothing,
    ],
)
@given(args=st.lists(st.just(0), max_size=3), names=st.sets(st.sampled_from("abc")))
def test_a_call_is_accepted_exactly_when_python_would(
    function: Callable[..., Any], args: list[int], names: set[str]
) -> None:
    kwargs = dict.fromkeys(names, 0)
    try:
        function(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError):
            CallShape(function).check(args, kwargs)
    else:
        CallShape(function).check(args, kwargs)
