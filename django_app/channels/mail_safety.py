"""The last look at a mail before it is handed over: nothing in its headers can end one and begin another.

What the seal freezes is clean already. A row may have been written by others, and a channel is the last that reads it.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from pgsupervise.django_app.texts import UNWANTED, shorten

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Of a header: what RFC 5322 (3.6.8) allows, but for what other software takes for the end of it."""
ONE_LINE = ("subject", "from", "to")


def header_fault(payload: Mapping[str, Any]) -> str | None:
    """Return what in a payload is no header, or None. CR, LF, NUL and all other control characters are faults."""
    for what, text in _headers(payload):
        if not isinstance(text, str):
            return f"{what} is {shorten(text)}: it must be a text"
        if not text.isprintable():
            for character in text:
                # The two that some software takes for the end of a line, and Python for no control characters.
                if unicodedata.category(character) in UNWANTED or character in "\u2028\u2029":
                    return f"{what} has the character {character!a}: no header has it"
    return None


def _headers(payload: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name in ONE_LINE:
        yield f"the {name!r}", payload.get(name, "")
    headers = payload.get("headers") or {}
    if not isinstance(headers, Mapping):
        yield "the headers", headers
        return
    for name, value in headers.items():
        yield "a header's name", name if NAME.fullmatch(str(name)) else None
        yield f"the header {name}", value


def is_larger(body: Mapping[str, Any], most: int) -> bool:
    """Return whether a request's body has more than so many bytes as JSON in ASCII, which is how it is sent.

    Counted exactly only where it may be: no character takes more than twelve bytes.
    """
    texts = [body["subject"], *(part["value"] for part in body["content"]), *body.get("headers", {}).values()]
    return 12 * sum(map(len, texts)) > most // 2 and len(json.dumps(body)) > most
