"""Short texts that callers pass in: keys, recipients, names. Checked where they enter, as they end up in headers."""

import unicodedata

UNWANTED = ("Cc", "Cs")  # control characters, and lone surrogates that UTF-8 and so PostgreSQL cannot hold


def check_text(value: object, what: str, limit: int, *, required: bool = False) -> None:
    """Refuse a text that the tables or a message header could not carry; `what` names it in the error.

    Raises TypeError for anything but a str; ValueError for more than `limit` characters, for control characters and
    lone surrogates and, where it is `required`, for an empty text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} is {shorten(value)} ({type(value).__name__}): it must be a str")
    if not value and required:
        raise ValueError(f"{what} is empty: give at least one character")
    if len(value) > limit:
        raise ValueError(f"{what} is {shorten(value)}, {len(value)} characters: shorten it to {limit}")
    # Almost every text is printable, and saying so is much cheaper than looking at each character.
    if value.isprintable():
        return
    for character in value:
        if unicodedata.category(character) in UNWANTED:
            raise ValueError(f"{what} is {shorten(value)}: remove the character {character!a}, it is no text")


def shorten(value: object, limit: int = 60) -> str:
    """Return the value's repr in at most `limit` characters, for error messages."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def one_line(text: str) -> str:
    """Return the text with every run of white space as one blank and without characters that are no text."""
    words = " ".join(text.split())
    if words.isprintable():
        return words
    return "".join(character for character in words if unicodedata.category(character) not in UNWANTED)


def amount(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 event", "2 events"."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
