"""The command `pgsupervise flush`."""

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, leave
from .texts import amount


@click.command(cls=DatabaseCommand)
@click.option("--policy", help="Those of this policy.")
@click.option("--recipient", help="Those of this recipient.")
@click.option("--tenant", help="Those of this tenant.")
@click.option("--batch", type=int, help="The batch of this id.")
def flush(*, policy: str | None, recipient: str | None, tenant: str | None, batch: int | None) -> None:
    """Close open batches now, with what is in them; a running supervisor sends them at once.

    Options that are given together must all hold: --policy comments --recipient ann@example.com is that policy's
    batches of that recipient. At least one is needed.

    \b
    Examples:
      pgsupervise --settings shop.settings flush --policy comments
      pgsupervise flush --settings shop.settings --batch 17
    """
    from . import flush as flushing  # it imports models, which need Django set up

    if all(given is None for given in (policy, recipient, tenant, batch)):
        leave(ExitCode.BAD_CONFIGURATION, "flush was not told what: give --policy, --recipient, --tenant or --batch")
    try:
        count = flushing.flush(policy=policy, recipient=recipient, tenant=tenant, batch=batch)
    except ValueError as error:
        leave(ExitCode.BAD_CONFIGURATION, str(error))
    click.echo(f"{amount(count, 'batch', 'batches')} to be flushed")
