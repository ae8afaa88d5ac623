"""The command `pgsupervise channels`."""

import getpass
import socket
import sys
from typing import Any

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, leave, print_json


@click.command(cls=DatabaseCommand)
@click.option("--pause", metavar="CHANNEL", help="Let nothing go by this channel until it is resumed.")
@click.option("--resume", metavar="CHANNEL", help="Let everything go by this channel again, whoever paused it.")
@click.option("--reason", default="", help="Why it is paused, for whoever looks.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON array.")
def channels(*, pause: str | None, resume: str | None, reason: str, as_json: bool) -> None:
    """Show what each channel may do, and whether it is paused; pause or resume one, for the whole cluster.

    \b
    open      messages go
    paused    the provider wants a rest; nothing goes until the time shown
    on trial  the rest is over: one message goes, and all others once it was answered
    held      paused by hand, until it is resumed

    \b
    Examples:
      pgsupervise --settings shop.settings channels
      pgsupervise channels --pause sendgrid --reason "new key on Monday"
      pgsupervise channels --resume sendgrid
    """
    from . import composition, pausing  # imports the models, which need Django set up
    from .models import Channel

    try:
        if pause and pause == resume:
            raise ValueError(f"{pause!r} is to be paused and resumed: say one of them")
        if pause:
            pausing.pause_channel(pause, reason, _who())
        if resume and not pausing.resume_channel(resume, _who()):
            click.echo(f"{resume} was not paused", err=True)
    except ValueError as fault:
        leave(ExitCode.BAD_CONFIGURATION, str(fault))
    known = composition.assemble().channels
    rows = {row.name: row for row in Channel.objects.all()}
    found = [_shown(name, spec, rows.get(name)) for name, spec in known.items()]
    if as_json:
        print_json(found)
    else:
        for one in found:
            click.echo(_line(one))
    sys.exit(ExitCode.OK)


def _shown(name: str, spec: Any, row: Any) -> dict[str, Any]:
    shown = {"channel": name, "state": row.state if row else "open"}
    for field in ("paused_until", "since", "reason", "by"):
        shown[field] = getattr(row, field) if row else None
    return {**shown, "per_second": spec.limit.per_second, "in_flight": spec.limit.in_flight}


def _line(one: dict[str, Any]) -> str:
    words = [f"{one['channel']}: {one['state']}"]
    if one["state"] == "paused":
        words.append(f"until {one['paused_until'].isoformat(' ', 'seconds')}")
    if one["since"]:
        words.append(f"since {one['since'].isoformat(' ', 'seconds')} by {one['by']}")
    if one["reason"]:
        words.append(one["reason"])
    if one["per_second"] is not None:
        words.append(f"at most {one['per_second']:g} messages a second")
    if one["in_flight"] is not None:
        words.append(f"at most {one['in_flight']} calls at once")
    return ", ".join(words)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:200]
