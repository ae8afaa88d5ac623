"""Template filters that do what no filter should."""

from collections.abc import Iterator
from itertools import count

from django import template

register = template.Library()


class UnprintableError(Exception):
    """Raises while it is told."""

    def __str__(self) -> str:
        raise TypeError("no words")


RAISED: dict[str, type[BaseException]] = {
    kind.__name__: kind
    for kind in (
        ValueError,
        RecursionError,
        MemoryError,
        StopIteration,
        SystemExit,
        KeyboardInterrupt,
        GeneratorExit,
        UnprintableError,
    )
}


class Endless:
    """Says that it ends, which is why the tag `for` does not try to make a list of it."""

    def __len__(self) -> int:
        return 2**62

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(count(), count(), strict=True)


@register.filter
def raising(words: str, kind: str) -> str:
    """Raise an error of this kind."""
    raise RAISED[kind](words)


@register.filter
def endless(_: object) -> Endless:
    """Return what has no end."""
    return Endless()


@register.filter
def times(text: str, amount: int) -> str:
    """Return much text."""
    return text * amount


@register.filter
def unescaped(text: str) -> str:
    r"""Return the text with \u escapes as Python reads them: a file could not hold what they stand for."""
    return text.encode().decode("unicode_escape")
