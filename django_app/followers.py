"""Who is to be told: sources of followers by name, so that a run can go on in another process, days later.

A queryset cannot be stored (nothing is unpickled here), its source can: a function's name and a JSON argument. Projects
register sources in their apps' `notifications` modules:

    @follower_source("team", recipient="email")
    def team_members(team_id):
        return User.objects.filter(team=team_id, is_active=True)

    notify_followers("posts", team_members.of(team.pk), run=f"post-{post.pk}")
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.db.models import QuerySet

from . import jsonvalues
from .task_registry import place
from .texts import check_text, shorten

if TYPE_CHECKING:
    Rows = QuerySet[Any]
else:
    Rows = QuerySet

MAX_SOURCE = 100


@dataclass(frozen=True, slots=True)
class Followers:
    """What a run stores of its followers: a registered source, and the JSON value that this is asked with."""

    source: str
    argument: Any


class FollowerSource:
    """A function from a JSON value to a queryset; `recipient` is the field of its rows that has the recipient."""

    def __init__(self, name: str, function: Callable[[Any], Rows], recipient: str) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.function = function
        self.recipient = recipient

    def __call__(self, argument: Any = None) -> Rows:
        return self.function(argument)

    def __repr__(self) -> str:
        return f"<follower source {self.name}>"

    def of(self, argument: Any = None) -> Followers:
        """Return these followers, to be told. Raises TypeError or ValueError where the argument is not JSON."""
        try:
            size = jsonvalues.byte_length(jsonvalues.dumps(argument))
        except TypeError as error:
            raise TypeError(jsonvalues.fault(argument, f"the argument of {self!r}") or str(error)) from None
        if size > jsonvalues.MAX_BYTES:
            raise ValueError(f"the argument of {self!r} is {jsonvalues.oversize(size)}")
        return Followers(self.name, argument)


_registry: dict[str, FollowerSource] = {}
registry: Mapping[str, FollowerSource] = MappingProxyType(_registry)
"""Every source of followers by its name."""


def follower_source(name: str, *, recipient: str = "recipient") -> Callable[[Callable[[Any], Rows]], FollowerSource]:
    """Register a function of one JSON value that returns a queryset of followers.

    Its rows are read in slices, by their primary key. `recipient` is a field, a path to one (`user__email`) or an
    annotation; rows where it is empty are left out, and what is no str becomes one. Raises TypeError or ValueError for
    names that cannot be, and ValueError when two functions have one name.
    """
    check_text(name, "a follower source's name", MAX_SOURCE, required=True)
    check_text(recipient, "recipient", MAX_SOURCE, required=True)

    def declare(function: Callable[[Any], Rows]) -> FollowerSource:
        old = _registry.get(name)
        # A module that is imported again (autoreload) declares the same function anew, from the same place.
        if old is not None and place(old.function) != place(function):
            raise ValueError(
                f"two follower sources are named {name!r}: {place(old.function)} and {place(function)}; rename one"
            )
        _registry[name] = FollowerSource(name, function, recipient)
        return _registry[name]

    return declare


def source_named(name: str) -> FollowerSource:
    """Return a registered source. Raises LookupError for another name, with the cure."""
    if name not in _registry:
        names = ", ".join(sorted(_registry)) or "none"
        raise LookupError(
            f"no follower source is named {shorten(name)}: declare it with @follower_source in an app's notifications "
            f"module, or use one of these: {names}"
        )
    return _registry[name]


def readable(rows: object, field: str) -> Rows:
    """Return a queryset that can be read in slices: in order of its primary key, as pairs of that and the recipient.

    Raises TypeError for what is no queryset, ValueError for one that cannot be cut further, both with the cure.
    """
    if not isinstance(rows, QuerySet):
        raise TypeError(
            f"followers is {shorten(rows)} ({type(rows).__name__}): it must be a queryset, followers_of(object), or a "
            "follower source's .of(argument)"
        )
    label = rows.model._meta.label
    query = rows.query
    if query.is_sliced or query.combinator or query.distinct_fields:
        raise ValueError(
            f"the followers are a queryset of {label} that is sliced, combined or distinct on fields, which cannot be "
            "read in slices: give the rows by filter(), such as pk__in=..."
        )
    if len(getattr(rows.model._meta, "pk_fields", "1")) > 1:
        raise ValueError(f"{label} has a primary key of several columns: give rows of a model that has a single one")
    try:
        return rows.order_by("pk").values_list("pk", field)
    except FieldError as error:
        raise ValueError(
            f"followers of {label} have no field {field!r} with the recipient: {error}; name it, such as "
            'notify_followers(..., recipient_field="email") or @follower_source(..., recipient="email")'
        ) from None
