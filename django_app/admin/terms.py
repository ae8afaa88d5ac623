"""What somebody typed into a search box or an address, read without ever failing."""

from dataclasses import dataclass
from uuid import UUID

from django.http import QueryDict

from pgsupervise.partitions.buckets import bucket_of

MAX_TEXT = 500
"""No searchable column holds more characters, so a longer text can fit nothing."""
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Term:
    """A text to search for, in every reading that it allows; it is never empty."""

    text: str

    @property
    def id(self) -> int | None:
        """The text as a row's id."""
        return parse_id(self.text)

    @property
    def uuid(self) -> UUID | None:
        """The text as a process's id."""
        return parse_uuid(self.text)

    @property
    def bucket(self) -> int:
        """Where rows lie whose key or recipient the text is."""
        return bucket_of(self.text)

    @property
    def hopeless(self) -> bool:
        """Whether no row can hold the text, so that it need not be looked for."""
        return len(self.text) > MAX_TEXT or "\0" in self.text


def parse_id(text: str) -> int | None:
    """Return the id that the text spells, or None when no row can have it."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_ID))):
        return None
    number = int(text)
    return number if number <= MAX_ID else None


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that the text spells, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def tamed(parameters: QueryDict) -> QueryDict:
    """Return an address's parameters without what PostgreSQL refuses and without what is too long to fit anything.

    Every link of a page repeats them. What is changed fits no row, so that the list is empty as it ought to be.
    """
    result = QueryDict(mutable=True)
    for name, values in parameters.lists():
        result.setlist(name, [value[: MAX_TEXT + 1].replace("\0", "\ufffd") for value in values])
    return result
