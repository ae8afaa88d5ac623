"""The language and the time zone in which a recipient reads."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone, translation

from pgsupervise.django_app.texts import shorten
from pgsupervise.partitions.rows import Person

logger = logging.getLogger(__name__)
REMEMBERED = 1000


@contextmanager
def read_by(person: Person | None) -> Iterator[None]:
    """Let the block render for this person; where nothing usable is stored, as the project's settings say."""
    language = language_of(person.locale) if person else None
    zone = zone_of(person.time_zone) if person else None
    # Without a zone the default one is active, but without a language none at all.
    with translation.override(language or settings.LANGUAGE_CODE), timezone.override(zone):
        yield


@lru_cache(REMEMBERED)  # which is also why a bad value is logged once
def language_of(locale: str) -> str | None:
    """Return that one of the project's languages which serves a locale; None for no locale, or where none does."""
    if not locale:
        return None
    try:
        return translation.get_supported_language_variant(translation.to_language(locale))
    except LookupError:
        _tell("a recipient's locale is none of the project's LANGUAGES", locale, settings.LANGUAGE_CODE)
        return None


@lru_cache(REMEMBERED)
def zone_of(name: str) -> tzinfo | None:
    """Return the time zone of this IANA name; None for an empty one, or where there is no such zone."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # no zone, no path below the database's folder, no file
        _tell("a recipient's time zone is not known", name, settings.TIME_ZONE)
        return None


def _tell(what: str, stored: str, instead: str) -> None:
    logger.warning("%s: the project's is used", what, extra={"fields": {"stored": shorten(stored), "used": instead}})
