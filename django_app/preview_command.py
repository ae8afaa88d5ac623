"""The command `pgsupervise preview`."""

import sys
from typing import TYPE_CHECKING

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, leave, print_json
from .texts import amount
from .times import second

if TYPE_CHECKING:
    from .previewing import Preview


@click.command(cls=DatabaseCommand)
@click.argument("what", metavar="BATCH|RECIPIENT")
@click.option("--recipient", "is_recipient", is_flag=True, help="Read WHAT as a recipient, even if it is a number.")
@click.option("--html", is_flag=True, help="Print the HTML too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON array.")
def preview(*, what: str, is_recipient: bool, html: bool, as_json: bool) -> None:
    """Show what would be sent now of a batch, or of each of a recipient's batches, that is not sealed. Sends nothing.

    \b
    Exit code: 0, 1 if a message cannot be rendered, 2 if there is no such batch.
    """
    from . import previewing  # imports the models, which need Django set up
    from .models import Batch

    number = what.isascii() and what.isdecimal() and len(what) < 19 and not is_recipient
    batches = list(Batch.objects.filter(pk=int(what))) if number else previewing.unsealed_of(what)
    if not batches:
        named = f"batch of {what} that is not sealed"
        if number:
            named = f"batch {what}; a recipient whose name is a number needs --recipient"
        leave(ExitCode.BAD_CONFIGURATION, f"there is no {named}")
    try:
        found = [previewing.preview(batch) for batch in batches]
    except previewing.SealedError as fault:
        leave(ExitCode.BAD_CONFIGURATION, str(fault))
    if as_json:
        print_json([one.as_dict() for one in found])
    else:
        for one in found:
            _show(one, html=html)
    sys.exit(ExitCode.ERROR if any(one.error for one in found) else ExitCode.OK)


def _show(shown: "Preview", *, html: bool) -> None:
    batch = shown.batch
    click.echo(
        f"batch {batch.pk} of {batch.policy} for {batch.recipient}: {batch.state}, {amount(shown.items, 'item')}, "
        f"goes at {second(batch.deliver_at)}"
    )
    if shown.error:
        click.echo(f"cannot be rendered: {shown.error}")
    elif not shown.messages:
        click.echo(f"nothing would be sent: {shown.withheld}")
    for message in shown.messages:
        channel, payload = message.channel, message.payload
        to = f" to {payload['to']}" if "to" in payload else ""
        click.echo(f"by {channel}{to}{', if the channels before it refuse' if message.is_standby else ''}")
        for part in ("subject", "text", *(["html"] if html else [])):
            if payload.get(part):
                click.echo(f"{part}:\n{payload[part]}")
