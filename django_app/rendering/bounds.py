"""What a template may give: an end, and a text that PostgreSQL can hold."""

from itertools import count
from typing import Any

from django.template import Context

from .failures import RenderError

MOST_TURNS = 1_000_000
"""Of all loops of a part together."""


class Bounded(Context):
    """Ends loops that would fill the memory before anybody could look at the size: each turn sets its variable here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._turns = count(1)  # the copies that tags make of a context share it
        super().__init__(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._take_turn()
        super().__setitem__(key, value)

    def update(self, other_dict: Any) -> Any:
        """Push the variables of a turn that unpacks."""
        self._take_turn()
        return super().update(other_dict)

    def _take_turn(self) -> None:
        if next(self._turns) > MOST_TURNS:
            name = getattr(self.template, "name", None)
            raise RenderError(f"template {name} takes more than {MOST_TURNS} turns of its loops: show fewer items")


def storable(text: str) -> str:
    """Return the text without what jsonb and UTF-8 do not have: NUL, and surrogates that are no pair."""
    text = text.replace("\x00", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
