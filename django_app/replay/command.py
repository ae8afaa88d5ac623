"""The command `pgsupervise replay`."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import django
import psycopg
from django.conf import settings
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from pgsupervise.django_app.embedded import EmbeddedError
from pgsupervise.django_app.texts import one_line
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.exits import ExitCode

from .databases import fresh_database
from .options import CHANNELS, KEYS, Options, PolicyOptions
from .parameters import Chaos, Duration
from .processes import ended_in_order
from .reader import BrokenFile, FileEvent, read_events
from .stalling import Stalled

if TYPE_CHECKING:
    from .run import Result


class ReplayCommand(click.Command):
    """A command that remembers its arguments as they were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments and keep them."""
        ctx.meta[__name__] = list(args)
        return super().parse_args(ctx, args)


@click.command(cls=ReplayCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--window", type=Duration(), default="1d", show_default=True, help="How long a batch takes events.")
@click.option("--sliding-max", type=Duration(), help="Let each event move the end of its batch, up to this length.")
@click.option("--flush-at", type=int, help="Close a batch at once when it has this many events.")
@click.option(
    "--key",
    type=click.Choice(KEYS),
    default="recipient",
    show_default=True,
    help="What has a batch of its own: a recipient, or each of the recipient's objects.",
)
@click.option("--limit", type=int, help="Replay only this many events, the file's first.")
@click.option("--partitions", type=int, help="Partitions, each with a worker (32 at most).  [default: 8]")
@click.option(
    "--channel",
    type=click.Choice(CHANNELS),
    default="null",
    show_default=True,
    help="Where digests go; sendgrid takes SENDGRID_API_KEY and SENDGRID_HOST from the environment.",
)
@click.option("--chaos", "kill_every", type=Chaos(), help="Kill a random worker every SECONDS while it works.")
@click.option("--chunk", type=int, default=2000, show_default=True, help="Events inserted in one transaction.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--database", metavar="DSN", hidden=True, help="Make the database on this server, not on the embedded.")
@click.pass_context
def replay(context: click.Context, /, file: Path, partitions: int | None, as_json: bool, **given: Any) -> None:
    """Deliver the events of FILE as digests and check what arrived.

    FILE is a CSV file, gzip-compressed or not, with the columns at,change,actor,recipient,object in ascending order of
    at. Durations are written 90s, 5m, 1h, 1d. The replay runs on an embedded PostgreSQL in a database of its own, with
    real worker processes, in the events' own time: sixteen years take as long as their digests take to be made.

    \b
    Exit code: 0 if every event arrived once and in order, 1 if not, 2 for a faulty file or option.
    """
    config = context.obj if isinstance(context.obj, Config) else Config()
    options = _options(partitions=config.partitions if partitions is None else partitions, **given)
    try:
        events = read_events(file, options.limit)
    except BrokenFile as fault:
        _leave(ExitCode.BAD_CONFIGURATION, str(fault))
    if settings.configured:
        # manage.py has set Django up for its project: a new process, so that nothing here reaches that project's data.
        words = [*context.meta[__name__], "--partitions", str(options.partitions)]
        os.execv(sys.executable, [sys.executable, "-m", "pgsupervise.supervisor", "replay", *words])  # noqa: S606
    with ended_in_order():
        result = _replayed(events, options)
    _show(result, as_json=as_json)
    sys.exit(ExitCode.OK if result.is_flawless else ExitCode.ERROR)


def _options(
    *, window: timedelta, sliding_max: timedelta | None, flush_at: int | None, key: Any, channel: str, **others: Any
) -> Options:
    policy = PolicyOptions(window=window, sliding_max=sliding_max, flush_at=flush_at, key=key, channel=channel)
    options = Options(policy=policy, **others)
    if found := options.problems():
        _leave(ExitCode.BAD_CONFIGURATION, *(f"error: {problem}" for problem in found))
    return options


def _replayed(events: Sequence[FileEvent], options: Options) -> "Result":
    try:
        with fresh_database(options.database) as dsn:
            environment = options.policy.environment(dsn)
            os.environ.update(environment)
            django.setup()
            from .run import replay as run  # imports the models, which need Django set up

            return run(events, options, environment)
    except Stalled as stalled:
        _leave(ExitCode.ERROR, f"error: {stalled}")
    except (EmbeddedError, psycopg.Error, DatabaseError) as error:
        _leave(ExitCode.ERROR, f"error: {one_line(str(error))}")


def _show(result: "Result", *, as_json: bool) -> None:
    summary = result.summary()
    if as_json:
        click.echo(json.dumps(summary))
        return
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in summary.items():
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)


def _leave(code: ExitCode, *lines: str) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    sys.exit(code)
