"""Where webhooks go: by the address of a delivery, from the settings or from a function of the project's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import close_old_connections
from django.utils.module_loading import import_string

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of webhooks. The URL may be as secret as the secrets, so a repr shows neither.

    `secrets`: "whsec_..." as Standard Webhooks has it; several while they are rotated, each signs.
    """

    url: str = field(repr=False)
    secrets: Sequence[str] = field(repr=False)


EndpointOf = Callable[[str], Endpoint | None]
UrlOf = Callable[[str], str | None]


class LookUpError(Exception):
    """The project's function has failed; the words do not repeat its own, which may have a URL in them."""


def looked_up(function: Callable[[str], T | None], address: str) -> T | None:
    """Return what the project's function finds. Raises LookUpError for whatever that raises."""
    try:
        return function(address)
    except Exception as failure:
        close_old_connections()  # one of the database that was lost is not there for the next message
        raise LookUpError(f"the address could not be looked up: {type(failure).__name__}") from None


def endpoint_of(given: Mapping[str, Mapping[str, Any]] | str) -> EndpointOf:
    """Return the function by which the setting finds an address's endpoint; None where there is none."""
    if isinstance(given, str):
        found: EndpointOf = import_string(given)
        return found
    endpoints = {name: Endpoint(one["url"], one["secrets"]) for name, one in given.items()}
    return endpoints.get


def url_of(given: Mapping[str, str] | str) -> UrlOf:
    """Return the function by which the setting finds an address's URL; None where there is none."""
    if isinstance(given, str):
        found: UrlOf = import_string(given)
        return found
    return dict(given).get
