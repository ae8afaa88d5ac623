"""What the commands of the Django side have in common: the project set up, or the reason why not and an exit code."""

import json
import sys
from typing import Any, NoReturn

import click
from django.apps import apps
from django.db import DatabaseError

from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.exits import ExitCode

from . import composition
from .texts import one_line


class DatabaseCommand(click.Command):
    """A command that runs with the project set up, and says in one line what the database has against it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Set the project up, unless manage.py has, and run the command."""
        config = ctx.obj if isinstance(ctx.obj, Config) else Config()
        if not apps.ready:
            try:
                composition.load(config.settings)
            except composition.ProjectError as fault:
                leave(ExitCode.BAD_CONFIGURATION, str(fault))
        try:
            return super().invoke(ctx)
        except DatabaseError as error:
            leave(ExitCode.ERROR, one_line(str(error)))


def leave(code: ExitCode, fault: str) -> NoReturn:
    """Say what is wrong on standard error, and end with this code."""
    click.echo(f"error: {fault}", err=True)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))
