"""Kinds of channels by how much of them may be in hand, and what is claimed next for each."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from .project import ChannelSpec

SAFE_CHUNK = 200


class Kind(NamedTuple):
    """Channels whose deliveries are claimed together, at most `limit` of a bucket.

    `which`: those that may send twice, the others with a call for each message, and those with one for many. Marks
    and turns have a field of that name.
    """

    which: Literal["safe", "unsafe", "grouped"]
    channels: Sequence[str]
    limit: int


def kinds_of(specs: Mapping[str, ChannelSpec], safe: Sequence[str], unsafe: Sequence[str], share: int) -> list[Kind]:
    """Return the kinds of which anything may be claimed, where a bucket may have `share` calls in hand."""
    single = [name for name in unsafe if specs[name].together == 1]
    grouped = [name for name in unsafe if specs[name].together > 1]
    most = min((specs[name].together for name in grouped), default=1)
    kinds = [Kind("safe", safe, SAFE_CHUNK), Kind("unsafe", single, share), Kind("grouped", grouped, share * most)]
    return [kind for kind in kinds if kind.channels and kind.limit]
