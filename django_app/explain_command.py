"""The command `pgsupervise explain`."""

import sys
from typing import TYPE_CHECKING

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, leave, print_json

if TYPE_CHECKING:
    from .explaining import Explanation


@click.command(cls=DatabaseCommand)
@click.argument("what", metavar="RECIPIENT|EVENT")
@click.option("--recipient", "is_recipient", is_flag=True, help="Read WHAT as a recipient, even if it is a number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Newest events to explain.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON array.")
def explain(*, what: str, is_recipient: bool, limit: int, as_json: bool) -> None:
    """Say why a recipient did or did not get something: what became of an event, step by step, or of its newest ones.

    \b
    Exit code: 0, or 2 if there is no such event.
    """
    from . import explaining  # imports the models, which need Django set up

    if what.isascii() and what.isdecimal() and len(what) < 19 and not is_recipient:
        one = explaining.explain_event(int(what))
        if one is None:
            fault = f"there is no event {what}; a recipient whose name is a number needs --recipient"
            leave(ExitCode.BAD_CONFIGURATION, fault)
        found = [one]
    else:
        found = explaining.explain_recipient(what, limit)
        if not found:
            leave(ExitCode.BAD_CONFIGURATION, f"there is no event for {what}: was its transaction committed?")
    if as_json:
        print_json([one.as_dict() for one in found])
    else:
        for one in found:
            _show(one)
    sys.exit(ExitCode.OK)


def _show(shown: "Explanation") -> None:
    click.echo(f"event {shown.event.pk} for {shown.event.recipient}: {shown.outcome}")
    for at, what, why in shown.steps:
        time = at.isoformat(" ", "seconds") if at else "-"
        click.echo(f"  {time:<25}  {what}{' (' + why + ')' if why else ''}")
