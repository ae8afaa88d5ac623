"""Replies of which no more is kept than anybody has words for."""

from http.client import HTTPResponse, IncompleteRead

LARGEST_REPLY = 1_000_000
"""Bytes. What is in the way between here and a provider may answer with a page, a film, or without an end."""


class BoundedReply(HTTPResponse):
    """A response whose body is read up to LARGEST_REPLY; a connection on which more would come is not used again."""

    def read(self, amt: int | None = None) -> bytes:
        """Return the body's beginning. Raises IncompleteRead where less came than was announced, and than the bound."""
        if amt is not None:
            return super().read(amt)
        body = super().read(LARGEST_REPLY)
        if self.length and len(body) < LARGEST_REPLY:
            raise IncompleteRead(body, self.length)  # only a read without a bound sees to this
        return body
