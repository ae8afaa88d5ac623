"""Who and what the items of a digest are about, in few words and in the language that is active."""

from collections.abc import Iterable

from django.utils.translation import gettext, ngettext, pgettext

from pgsupervise.partitions.rows import Item


def actors_of(items: Iterable[Item]) -> list[str]:
    """Return each actor once, in order of its first item."""
    return list(dict.fromkeys(item.actor for item in items if item.actor))


def objects_of(items: Iterable[Item]) -> list[str]:
    """Return each object once, in order of its first item."""
    return list(dict.fromkeys(item.object for item in items if item.object))


def summary(actors: Iterable[str], named: int = 2) -> str:
    """Return the actors in a few words: "Ann", "Ann and Bob", "Ann, Bob and 3 others", with `named` of them by name.

    Raises ValueError when `named` is no positive int.
    """
    given: object = named  # a template may say anything
    if not isinstance(given, int) or given < 1:
        raise ValueError(f"{named!a:.60} actors cannot be named: give summary an int of at least 1")
    names = [actors] if actors and isinstance(actors, str) else list(map(str, actors))
    shown, others = names[:named], len(names) - named
    comma = pgettext("between names", ", ")
    if others > 0:
        words = ngettext("%(names)s and %(count)d other", "%(names)s and %(count)d others", others)
        return words % {"names": comma.join(shown), "count": others}
    if len(shown) < 2:
        return "".join(shown)
    return gettext("%(names)s and %(last)s") % {"names": comma.join(shown[:-1]), "last": shown[-1]}
