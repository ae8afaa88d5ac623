"""What templates of digests can say.

Filters: `actors|summary`, `items|actors`, `items|objects`, `item.occurred_at|moment`, and `item.data.body|clean_html`
for what users have written in HTML. `{% inline_css %}...{% endinline_css %}` puts a style sheet into the elements.
"""

from datetime import datetime, tzinfo
from functools import lru_cache

from django import template
from django.utils import formats
from django.utils.translation import get_language, pgettext

from pgsupervise.django_app.rendering import html, names

register = template.Library()

register.filter("clean_html", html.clean, is_safe=True)
register.tag("inline_css", html.inline_css)
register.filter("summary", names.summary)
register.filter("actors", names.actors_of)
register.filter("objects", names.objects_of)


@register.filter(expects_localtime=True)
def moment(at: datetime) -> str:
    """Return when something happened, "1 Mar 2026, 12:01 UTC", in the current time zone and language.

    Remembered, since text and HTML say the same: a third of a digest's time went into its dates.
    """
    return _moment(at.replace(second=0, microsecond=0), at.tzinfo, get_language())


@lru_cache(maxsize=1000)
def _moment(minute: datetime, _zone: tzinfo | None, _language: str | None) -> str:
    # Equal moments of two zones are one key without the zone.
    return formats.date_format(minute, pgettext("format of date and time", "j M Y, H:i e"))
