"""The commands `pgsupervise suppressions list`, `add` and `remove`."""

import sys
from typing import TYPE_CHECKING

import click

from pgsupervise.supervisor.exits import ExitCode

from .addresses import AddressError
from .commanding import DatabaseCommand, leave, print_json

if TYPE_CHECKING:
    from .models import Suppression


@click.group()
def suppressions() -> None:
    """Show and change the list of addresses that get no mail any more."""


@suppressions.command("list", cls=DatabaseCommand)
@click.argument("address", required=False)
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Newest rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON array.")
def show(*, address: str | None, limit: int, as_json: bool) -> None:
    """Show why an address gets nothing, or the newest entries of the list.

    \b
    Exit code: 0, or 2 for what is no address.
    """
    from .models import Suppression  # needs Django set up
    from .suppressions import suppressions_of

    try:
        rows = Suppression.objects.order_by("-id") if address is None else suppressions_of(address)
    except AddressError as error:
        leave(ExitCode.BAD_CONFIGURATION, str(error))
    found = list(rows[:limit])
    if as_json:
        print_json([_as_dict(row) for row in found])
    else:
        for row in found:
            since = row.occurred_at.isoformat(" ", "seconds")
            click.echo(f"{row.address}  {row.reason}  since {since}{f'  ({row.note})' if row.note else ''}")
    sys.exit(ExitCode.OK)


@suppressions.command(cls=DatabaseCommand)
@click.argument("address")
@click.option("--note", default="", help="Why, for those who look at it later.")
def add(*, address: str, note: str) -> None:
    """Send nothing to an address any more."""
    from .suppressions import suppress

    try:
        is_new = suppress(address, note=note)
    except AddressError as error:
        leave(ExitCode.BAD_CONFIGURATION, str(error))
    click.echo("added" if is_new else "it was in the list already, by hand")
    sys.exit(ExitCode.OK)


@suppressions.command(cls=DatabaseCommand)
@click.argument("address")
def remove(*, address: str) -> None:
    """Forget every reason against an address. SendGrid has a list of its own, where it must be removed as well.

    \b
    Exit code: 0, or 2 if it was not in the list, or is no address.
    """
    from .suppressions import unsuppress

    try:
        count = unsuppress(address)
    except AddressError as error:
        leave(ExitCode.BAD_CONFIGURATION, str(error))
    if not count:
        leave(ExitCode.BAD_CONFIGURATION, f"{address} is not in the list")
    click.echo(f"removed {count} {'reason' if count == 1 else 'reasons'}")
    sys.exit(ExitCode.OK)


def _as_dict(row: "Suppression") -> dict[str, object]:
    names = ("id", "kind", "address", "reason", "note", "event_id", "occurred_at", "created_at")
    return {name: getattr(row, name) for name in names}
