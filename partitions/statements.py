"""The statements, one a file in `sql/`: psql and EXPLAIN take them as they stand, and a test prepares each one."""

from functools import cache
from importlib.resources import files
from typing import LiteralString


@cache
def load(name: str) -> LiteralString:
    """Return the statement of `sql/<name>.sql`. Raises FileNotFoundError for a name that has none."""
    # psycopg asks for literal strings so that nobody builds SQL from input: a file of ours is as literal as the code.
    return files("pgsupervise.partitions").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def all_names() -> list[str]:
    """Return the names of all statements."""
    folder = files("pgsupervise.partitions").joinpath("sql")
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
