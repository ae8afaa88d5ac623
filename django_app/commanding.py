"""What the commands of the Django side have in common: the project set up, or the reason why not and an exit code."""

import json
import sys
from typing import Any, NoReturn

import click
import psycopg
from django.apps import apps
from django.db import DatabaseError

from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.exits import ExitCode

from . import composition
from .texts import one_line

SETTINGS = "pgsupervise.settings"


class DatabaseCommand(click.Command):
    """A command that runs with the project set up, and says in one line what the database has against it.

    It takes `--settings` after its name, too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = "Django settings module.  [env: DJANGO_SETTINGS_MODULE]"
        self.params.append(click.Option(["--settings"], expose_value=False, callback=_keep, help=words))

    def invoke(self, ctx: click.Context) -> Any:
        """Set the project up, unless manage.py has, and run the command."""
        config = ctx.obj if isinstance(ctx.obj, Config) else Config()
        named = ctx.meta.get(SETTINGS)
        if named or not apps.ready:
            try:
                composition.load(named or config.settings)
            except composition.ProjectError as error:
                leave(ExitCode.BAD_CONFIGURATION, *error.args)
        try:
            return super().invoke(ctx)
        except (DatabaseError, psycopg.Error) as error:
            _leave_for(error)


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    context.meta[SETTINGS] = value


def _leave_for(error: Exception) -> NoReturn:
    """Say why the database refused: that it was never migrated, or cannot be reached, if that is so."""
    from . import readiness

    try:
        found = readiness.database_problems(composition.conninfo())
    except (DatabaseError, psycopg.Error):
        found = []
    if found:
        leave(ExitCode.BAD_CONFIGURATION, *found)
    leave(ExitCode.ERROR, f"the database refused: {one_line(str(error))}")


def leave(code: ExitCode, *faults: str) -> NoReturn:
    """Say what is wrong on standard error, one fault a line, and end with this code."""
    for fault in faults:
        click.echo(f"error: {fault}", err=True)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))
