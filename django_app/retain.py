"""How many items of a digest are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from pgsupervise.partitions.rows import Item

from .texts import shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class Retain:
    """Which items a digest shows, in order of time either way; the others are in its counts and actors only.

    `Retain(first=10)` shows the ten oldest, `Retain(last=10)` the ten newest.
    """

    first: int | None = None
    last: int | None = None

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items that are shown."""
        return items[: self.first] if self.last is None else items[-self.last :]

    def problems(self) -> list[str]:
        """Return what is wrong with the numbers, with the cure; an empty list when nothing is."""
        given: dict[str, object] = {"first": self.first, "last": self.last}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            return ["retain must have one number: Retain(first=10) or Retain(last=10)"]
        ((name, value),) = given.items()
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return []
        return [f"retain has {name} {shorten(value)}: it must be an int of at least 1"]
