"""All that is measured, in the order of the report."""

from collections.abc import Callable, Iterable, Sequence

from tests.bench.own.sections import own_sections
from tests.bench.peers import peer_sections
from tests.bench.section import Section

FACTORIES: list[Callable[[], Iterable[Section]]] = [peer_sections, own_sections]

BUDGETS = {"peers": 12 * 60.0}
"""Seconds for a group, its preparation included: no further round begins that would not fit."""


class UnknownNamesError(Exception):
    """Somebody asked for what does not exist."""


def all_sections() -> list[Section]:
    """Return a new section of each kind."""
    return [section for factory in FACTORIES for section in factory()]


def choose(sections: Sequence[Section], names: Iterable[str]) -> list[Section]:
    """Return the sections that are named, by themselves or by their group; all for no name."""
    wanted = set(names)
    known = {name for section in sections for name in (section.name, section.group)}
    if unknown := wanted - known:
        raise UnknownNamesError(
            f"no such peer or section: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
        )
    return [section for section in sections if not wanted or {section.name, section.group} & wanted]
