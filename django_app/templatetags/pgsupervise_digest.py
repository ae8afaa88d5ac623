"""Filters of the ready-made digests."""

from datetime import datetime, tzinfo
from functools import lru_cache

from django import template
from django.utils import formats
from django.utils.translation import get_language

register = template.Library()
FORMAT = "j M Y, H:i e"


@register.filter(expects_localtime=True)
def moment(at: datetime) -> str:
    """Return when something happened, "1 Mar 2026, 12:01 UTC", in the current time zone and language.

    Remembered, since text and HTML say the same: a third of a digest's time went into its dates.
    """
    return _moment(at.replace(second=0, microsecond=0), at.tzinfo, get_language())


@lru_cache(maxsize=1000)
def _moment(minute: datetime, _zone: tzinfo | None, _language: str | None) -> str:
    # Equal moments of two zones are one key without the zone.
    return formats.date_format(minute, FORMAT)
