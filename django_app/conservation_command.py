"""The command `pgsupervise conservation`."""

import sys
from typing import TYPE_CHECKING

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, print_json

if TYPE_CHECKING:
    from .conservation import Conservation


@click.command(cls=DatabaseCommand)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def conservation(*, as_json: bool) -> None:
    """Count where all events are, and look for rows that contradict each other. Reads the whole tables.

    \b
    Exit code: 0 if each event is in exactly one place, 1 if not.
    """
    from .conservation import conservation as conserved  # imports the models, which need Django set up

    found = conserved()
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)
    sys.exit(ExitCode.OK if found.holds else ExitCode.ERROR)


def _show(found: "Conservation") -> None:
    rows = {name: getattr(found, name) for name in ("pending", "open", "sealed", "retracted")}
    rows |= {f"filtered: {reason}": amount for reason, amount in found.filtered.items()} | {"total": found.total}
    width = max(map(len, rows))
    for name, amount in rows.items():
        click.echo(f"{name:<{width}}  {amount:>12,}")
    for what, amount, ids in found.contradictions:
        more = ", ..." if amount > len(ids) else ""
        click.echo(f"contradiction: {what} ({amount}): {', '.join(map(str, ids))}{more}")
    if found.holds:
        click.echo("ok: each event is in exactly one place")
