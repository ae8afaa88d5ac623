"""What counts as JSON: a worker reads back what was written, or it is refused with the place and the cure."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.django_app import jsonvalues

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@given(json_values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(jsonvalues.dumps(value)) == value
    assert jsonvalues.fault(value, "value") is None


@given(texts)
def test_the_length_is_counted_in_bytes(text: str) -> None:
    assert jsonvalues.byte_length(text) == len(text.encode())


def test_a_literal_backslash_u0000_is_no_nul() -> None:
    assert json.loads(jsonvalues.dumps(["\\u0000"])) == ["\\u0000"]


def test_text_enums_and_tuples_are_json() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert jsonvalues.dumps({Colour.RED: (1, Colour.RED)}) == '{"red":[1,"red"]}'


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "value is a datetime"),
        ({"when": [datetime(2026, 1, 1, tzinfo=UTC)]}, r"value\['when'\]\[0\] is a datetime"),
        (Decimal(1), "value is a Decimal"),
        ({1, 2}, "value is a set"),
        (b"bytes", "value is a bytes"),
        (math.nan, "value is a float"),
        ([math.inf], r"value\[0\] is a float"),
        ({1: "one"}, r"value has the key 1 \(int\)"),
        ({"a": {None: 1}}, r"value\['a'\] has the key None \(NoneType\)"),
        ([{"a": {True: 1}}], r"value\[0\]\['a'\] has the key True \(bool\)"),
        ("a\x00b", "NUL character"),
        ({"a\x00": 1}, "a key of value is a str with a NUL"),
        ("\ud800", "lone surrogate"),
        ({"\udfff": 1}, "a key of value is a str with a lone surrogate"),
        ([10**5000], r"value\[0\] is a int that JSON cannot hold"),
        (circular(), "nested more than 100 levels"),
        (deep(101), "nested more than 100 levels"),
        (deep(100_000), "nested more than 100 levels"),
    ],
)
def test_anything_else_is_refused_with_its_place(value: Any, words: str) -> None:
    with pytest.raises(TypeError):
        jsonvalues.dumps(value)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(jsonvalues.fault(value, "value"))


def test_a_hundred_levels_are_allowed() -> None:
    assert json.loads(jsonvalues.dumps(deep(100))) == deep(100)
