"""Keys: what has a digest of its own."""

from typing import Any

import pytest

from pgsupervise.django_app.keys import MAX_KEY, Key, key_problems, reader
from pgsupervise.django_app.notifications import Notification

DATA = {"project": {"id": 7, "name": "Rome"}, "tags": ["a", "b"], "flag": True, "none": None, "a|b": "x"}
EVENT = Notification("ada", DATA, actor="Bob", object="doc-9")
BARE = Notification("ada")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("recipient", ""),
        ("object", "doc-9"),
        ("actor", "Bob"),
        ("tenant", ""),
        ("data.project.id", "7"),
        ("data.project.name", "Rome"),
        ("data.project", '{"id":7,"name":"Rome"}'),
        ("data.tags.1", "b"),
        ("data.flag", "true"),
        ("data.none", ""),
        ("data.project.owner", ""),
        ("data.tags.9", ""),
        ("data.flag.deeper", ""),
        (("object", "data.project.id"), '["doc-9","7"]'),
        (lambda event: event.data["project"]["name"].lower(), "rome"),
    ],
)
def test_a_key_is_read_from_the_event(key: Key, expected: str) -> None:
    assert key_problems(key) == []
    assert reader(key)(EVENT) == expected


@pytest.mark.parametrize("key", ["object", "actor", "tenant", "data.x", "data.x.y", ("object", "data.x")])
def test_an_event_without_such_a_value_has_no_key(key: Key) -> None:
    assert reader(key)(BARE) == ""


def test_two_combinations_are_two_keys() -> None:
    both = reader(("actor", "object"))
    keys = {both(Notification("ada", actor=actor, object=what)) for actor, what in [("a", '","b'), ('a","', "b")]}
    assert len(keys) == 2


def test_a_long_value_stays_distinct() -> None:
    keys = [reader("data.x")(Notification("ada", {"x": "y" * 2000 + end})) for end in ("1", "2", "1")]
    assert [len(key) for key in keys] == [MAX_KEY] * 3
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("given", "error"), [(5, TypeError), (None, TypeError), ("x" * 501, ValueError), ("a\0b", ValueError)]
)
def test_a_function_must_give_a_text_that_fits(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="the key that the policy's function gave"):
        reader(lambda event: given)(EVENT)


@pytest.mark.parametrize(
    "key", ["", "objct", "data", "data.", "data..x", "recipient.zone", "object.id", 5, (), ("object", "dta.x"), ("",)]
)
def test_a_path_that_no_event_can_have_is_refused(key: Any) -> None:
    (problem,) = key_problems(key)
    assert problem.startswith("key is ")
