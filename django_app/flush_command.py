"""The command `pgsupervise flush`."""

import sys

import click
import django.db

from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.exits import ExitCode

from .texts import one_line


@click.command()
@click.option("--policy", help="Those of this policy.")
@click.option("--recipient", help="Those of this recipient.")
@click.option("--tenant", help="Those of this tenant.")
@click.option("--batch", type=int, help="The batch of this id.")
@click.option("--settings", help="Django settings module.  [env: DJANGO_SETTINGS_MODULE]")
@click.pass_context
def flush(
    context: click.Context,
    /,
    policy: str | None,
    recipient: str | None,
    tenant: str | None,
    batch: int | None,
    settings: str | None,
) -> None:
    """Close open batches now, with what is in them; a running supervisor sends them at once.

    Options that are given together must all hold: --policy comments --recipient ann@example.com is that policy's
    batches of that recipient. At least one is needed.

    \b
    Examples:
      pgsupervise --settings shop.settings flush --policy comments
      pgsupervise flush --settings shop.settings --batch 17
    """
    from . import composition

    config = context.obj if isinstance(context.obj, Config) else Config()
    try:
        composition.load(settings or config.settings)
        from . import flush as flushing  # it imports models, which need Django set up

        count = flushing.flush(policy=policy, recipient=recipient, tenant=tenant, batch=batch)
    except (composition.ProjectError, ValueError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.BAD_CONFIGURATION)
    except django.db.Error as error:
        click.echo(f"error: the database refused: {one_line(str(error))}; `pgsupervise check` may say why", err=True)
        sys.exit(ExitCode.ERROR)
    finally:
        composition.let_go()
    click.echo(f"{count} {'batch' if count == 1 else 'batches'} to be flushed")
