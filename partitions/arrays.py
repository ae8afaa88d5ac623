"""Arrays of numbers as text: psycopg's own way looks at each element, which costs a chunk more than its statement."""

from collections.abc import Iterable


def array(numbers: Iterable[int]) -> str:
    """Return integers as PostgreSQL writes an array of them: "{1,2,3}"."""
    return f"{{{','.join(map(str, numbers))}}}"
