"""What the project allows its channels: `PGSUPERVISE["CHANNEL_LIMITS"]`, put on the channels that are known."""

import difflib
from collections.abc import Mapping
from dataclasses import replace

from pgsupervise.supervisor.limits import Limit
from pgsupervise.supervisor.project import ChannelSpec

from .texts import shorten

FIELDS = ("per_second", "in_flight")


def limited(channels: Mapping[str, ChannelSpec], limits: Mapping[str, Mapping[str, object]]) -> dict[str, ChannelSpec]:
    """Return the channels with the limits that the project sets, which go before those that a channel declares."""
    found = dict(channels)
    for name, given in limits.items():
        if name in found:
            found[name] = replace(found[name], limit=replace(found[name].limit, **given))  # type: ignore[arg-type]
    return found


def shape_fault(value: object) -> str | None:
    """Return what is wrong with the setting, as far as it can be told without knowing the channels."""
    cure = 'it must be a dict such as {"sendgrid": {"per_second": 50, "in_flight": 20}}'
    if not isinstance(value, Mapping):
        return f"is {shorten(value)}: {cure}"
    for name, given in value.items():
        if not isinstance(given, Mapping):
            return f"has {shorten(given)} for {shorten(name)}: {cure}"
        if unknown := [key for key in given if key not in FIELDS]:
            return f"has the unknown key {shorten(unknown[0])} for {shorten(name)}: known are {', '.join(FIELDS)}"
        if faults := Limit(**given).problems():
            return f"for {shorten(name)}: {'; '.join(faults)}"
    return None


def problems(channels: Mapping[str, ChannelSpec], limits: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return every fault that only who knows the channels can tell, one line each with its cure."""
    found = []
    for name in limits:
        where = f"PGSUPERVISE['CHANNEL_LIMITS'] has {shorten(name)}"
        if name not in channels:
            near = difflib.get_close_matches(str(name), channels, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(channels)}"
            found.append(f"{where}, and there is no such channel: {meant}")
        elif not channels[name].needs_call:
            found.append(f"{where}, which makes no call that could be limited: leave it out")
    for name, spec in channels.items():
        found += [f"channel {name!r}: {fault}" for fault in spec.limit.problems()]
    return found
