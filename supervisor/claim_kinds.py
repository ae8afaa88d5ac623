"""Kinds of channels by how much of them may be in hand, and what is claimed next for each."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from .project import ChannelSpec

Which = Literal["safe", "unsafe", "grouped"]
"""Channels that may send twice, the others with a call for each message, and those with one for many."""
SAFE_CHUNK = 200


class Kind(NamedTuple):
    """Channels whose deliveries are claimed together, at most `limit` of a bucket.

    `which`: marks and turns have a field of that name.
    """

    which: Which
    channels: Sequence[str]
    limit: int


def which_of(spec: ChannelSpec) -> Which:
    """Return the kind of a channel."""
    if spec.resend_is_safe:
        return "safe"
    return "unsafe" if spec.together == 1 else "grouped"


def kinds_of(specs: Mapping[str, ChannelSpec], names: Sequence[str], share: int) -> list[Kind]:
    """Return the kinds of which anything may be claimed, where a bucket may have `share` calls in hand."""
    by_kind: dict[Which, list[str]] = {"safe": [], "unsafe": [], "grouped": []}
    for name in names:
        by_kind[which_of(specs[name])].append(name)
    most = min((specs[name].together for name in by_kind["grouped"]), default=1)
    limits: dict[Which, int] = {"safe": SAFE_CHUNK, "unsafe": share, "grouped": share * most}
    return [Kind(which, channels, limits[which]) for which, channels in by_kind.items() if channels and limits[which]]
