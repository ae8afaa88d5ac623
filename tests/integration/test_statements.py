"""Every statement as a file: it prepares against the migrated tables, and keeps the rules that all of them share."""

import re
from collections.abc import Callable

import psycopg
import pytest

from pgsupervise.partitions.statements import all_names, load

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
ONLY_CLOCK = re.compile(r"\b(clock_timestamp|statement_timestamp|localtimestamp|current_timestamp|timeofday)\b", re.I)


def code(name: str) -> str:
    """Return a statement without its comments."""
    return "\n".join(line for line in load(name).splitlines() if not line.lstrip().startswith("--"))


@pytest.mark.parametrize("name", all_names())
def test_a_statement_prepares_against_the_migrated_tables(name: str, connect: Callable[[], psycopg.Connection]) -> None:
    numbers: dict[str, int] = {}
    text = PLACEHOLDER.sub(lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", code(name))
    connect().execute(f"PREPARE checked AS {text.replace('%%', '%')}".encode())


@pytest.mark.parametrize("name", all_names())
def test_a_statement_says_what_it_is_for_and_knows_one_clock_only(name: str) -> None:
    assert load(name).startswith("-- "), "the head comment says what and why"
    assert not ONLY_CLOCK.search(code(name)), "now() is the only clock"
    assert not re.search(r"(SELECT|RETURNING|\.)\s*\*", code(name), re.I), "columns are listed"


@pytest.mark.parametrize("name", all_names())
def test_no_placeholder_stands_inside_quotes(name: str) -> None:
    for literal in re.findall(r"'[^']*'", code(name)):
        assert "%(" not in literal, f"the server would not see a parameter in {literal}"


@pytest.mark.parametrize("name", [name for name in all_names() if not name.startswith("gauge_")])
def test_a_data_changing_cte_never_inserts(name: str) -> None:
    """An INSERT inside a CTE is broadcast to every shard when the tables are distributed."""
    assert not re.search(r"\bAS\s+(MATERIALIZED\s+)?\(\s*INSERT\b", code(name), re.I)
