"""HTML in mail: what users wrote is cleaned, and style sheets are put where mail programs look for them."""

from typing import Any

import nh3
from django import template
from django.template.base import NodeList, Parser, Token
from django.utils.safestring import SafeString, mark_safe

LEFT_OUT = {"img", "area", "map", "details", "summary"}
"""A picture tells its server who reads when, and mail programs do not know the others."""
_cleaner = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS - LEFT_OUT,
    url_schemes={"http", "https", "mailto"},
    # Of which page would it be?
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


def clean(value: object) -> SafeString:
    """Return HTML that somebody else wrote with what does no harm of it: no scripts, styles, forms or pictures.

    Only links by http, https and mailto. What is no text is none: an event's data may have anything there.
    """
    return mark_safe(_cleaner.clean(value)) if isinstance(value, str) else SafeString("")  # noqa: S308 - it is cleaned


def inline_css(parser: Parser, token: Token) -> template.Node:
    """Compile `{% inline_css %}...{% endinline_css %}`, which goes around a whole body.html.

    Rules of its style sheets become style attributes, since many mail programs read no others; those for some screens
    only (`@media`) stay where they are. Nothing is fetched and no file is read: a `<link>` to a style sheet is left
    out. Raises TemplateSyntaxError where the package for that is not installed.
    """
    try:
        from css_inline import CSSInliner  # four megabytes, for those who use it
    except ImportError:
        raise template.TemplateSyntaxError(
            'inline_css needs a package: pip install "pgsupervise[css]", or write style attributes'
        ) from None
    body = parser.parse(("endinline_css",))
    parser.delete_first_token()
    return _Inlined(body, CSSInliner(load_remote_stylesheets=False, keep_at_rules=True))


class _Inlined(template.Node):
    def __init__(self, nodelist: NodeList, inliner: Any) -> None:
        self.nodelist = nodelist
        self._inliner = inliner

    def render(self, context: template.Context) -> SafeString:
        """Render what is inside, and put its styles in place."""
        inlined: str = self._inliner.inline(self.nodelist.render(context))
        return mark_safe(inlined)  # noqa: S308 - as safe as it was rendered
