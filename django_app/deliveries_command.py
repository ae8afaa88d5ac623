"""The command `pgsupervise deliveries`."""

import getpass
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, leave, print_json
from .texts import amount

COLUMNS = ("id", "policy", "recipient", "channel", "attempt", "finished_at", "unknown_until", "error")
WAYS = ("resend", "accept", "refuse")
MOST = 10_000


@click.group()
def deliveries() -> None:
    """Messages of which nobody knows whether the provider took them: list them, and decide about them."""


@deliveries.command(cls=DatabaseCommand)
@click.option("--policy", help="Those of this policy.")
@click.option("--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON array.")
def unknown(*, policy: str | None, limit: int, as_json: bool) -> None:
    """List deliveries of unknown fate, oldest first.

    Those with a time wait until then for the provider to tell; the others wait for a person.
    """
    found = _unknown(policy, limit)
    if as_json:
        print_json(found)
        sys.exit(ExitCode.OK)
    for one in found:
        until = one["unknown_until"]
        waits = f"the provider may tell until {until:%Y-%m-%d %H:%M:%S}" if until else "a person decides"
        since = f"{one['finished_at']:%Y-%m-%d %H:%M:%S}" if one["finished_at"] else "-"
        click.echo(
            f"{one['id']}  {since}  {one['policy']} to {one['recipient']} by {one['channel']}, "
            f"attempt {one['attempt']}: {one['error']}; {waits}"
        )
    click.echo(f"{len(found)} of unknown fate{', and there may be more' if len(found) == limit else ''}")
    sys.exit(ExitCode.OK)


@deliveries.command(cls=DatabaseCommand)
@click.argument("how", type=click.Choice(WAYS))
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--policy", help="All of this policy that wait for a person, in place of ids.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def resolve(*, how: str, ids: Sequence[int], policy: str | None, yes: bool) -> None:
    """Decide about deliveries of unknown fate: send again, take as accepted, or never send.

    \b
    Examples:
      pgsupervise --settings shop.settings deliveries resolve resend 17 18
      pgsupervise deliveries resolve refuse --policy comments --yes
    \b
    Exit code: 0; 2 where there was nothing to decide about.
    """
    from . import resolving  # imports the models, which need Django set up

    if bool(ids) == bool(policy):
        leave(ExitCode.BAD_CONFIGURATION, "give either ids or --policy")
    chosen = list(ids) or [one["id"] for one in _unknown(policy, MOST) if one["unknown_until"] is None]
    if chosen and not yes:
        click.confirm(f"{how} {amount(len(chosen), 'delivery', 'deliveries')}?", abort=True)
    done = resolving.resolve(chosen, resolving.Resolution(how), _who()[: resolving.MAX_NAME])
    click.echo(f"{how}: {amount(len(done), 'delivery', 'deliveries')}")
    for number in sorted(set(ids) - set(done)):
        click.echo(f"{number} is not of unknown fate")
    sys.exit(ExitCode.OK if done else ExitCode.BAD_CONFIGURATION)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user need have no name
        return f"uid {os.getuid()}"


def _unknown(policy: str | None, limit: int) -> list[dict[str, Any]]:
    from pgsupervise.partitions.states import DeliveryState

    from .models import Delivery

    # By the index of its state; an order that none has would sort whatever there is.
    rows = Delivery.objects.filter(state=DeliveryState.UNKNOWN).order_by("bucket", "id")
    rows = rows.filter(policy=policy) if policy else rows
    return sorted(rows.values(*COLUMNS)[:limit], key=lambda one: one["id"])
