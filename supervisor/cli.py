"""The command line: `pgsupervise` runs the supervisor, `pgsupervise check` only looks for faults."""

import importlib
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
from click.core import ParameterSource

from . import logs
from .config import Config
from .exits import ExitCode
from .options import options
from .project import Project
from .start import examine, start, tell

COMPOSITION_ROOT = "pgsupervise.django_app.composition"
"""Where the Django side is put together. Loaded by name: nothing in this package imports Django."""

COMMANDS = {
    "channels": "pgsupervise.django_app.channels_command",
    "conservation": "pgsupervise.django_app.conservation_command",
    "deliveries": "pgsupervise.django_app.deliveries_command",
    "explain": "pgsupervise.django_app.explain_command",
    "flush": "pgsupervise.django_app.flush_command",
    "policies": "pgsupervise.django_app.policies_command",
    "preview": "pgsupervise.django_app.preview_command",
    "replay": "pgsupervise.django_app.replay.command",
    "suppressions": "pgsupervise.django_app.suppressions_command",
}
"""Commands of the Django side: module with an attribute of the command's name."""


class LazyGroup(click.Group):
    """A group whose other commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands' names."""
        return sorted([*super().list_commands(ctx), *COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module if need be."""
        if cmd_name in COMMANDS:
            command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@options
@click.version_option(package_name="pgsupervise")
@click.pass_context
def main(context: click.Context, /, log_level: str, keep_finished: int, **given: Any) -> None:
    """Run the task queue and notification batcher of a Django project.

    \b
    Examples:
      pgsupervise --partitions 8 --settings shop.settings
      pgsupervise --settings shop.settings check
      pgsupervise replay activity.csv.gz --window 1d
    """
    logs.configure(log_level)
    context.obj = Config(keep_finished=timedelta(days=keep_finished), **given)
    if context.invoked_subcommand is None:
        sys.exit(start(context.obj, _root()))


@main.command()
@options
@click.pass_context
def check(context: click.Context, /, **given: Any) -> None:
    """Look for every fault of the configuration, and start nothing. Takes the options before or after its name."""
    explicit = {
        name: timedelta(days=value) if name == "keep_finished" else value
        for name, value in given.items()
        if name != "log_level" and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    examined = examine(replace(context.obj, **explicit), _root())
    examined.close()
    tell(examined.faults)
    if examined.faults or examined.project is None:
        sys.exit(ExitCode.BAD_CONFIGURATION)
    click.echo(f"ok: no faults{_found(examined.project)}")


def _found(project: Project) -> str:
    """Say what the project declares; its own tasks, not those that come with the package."""
    tasks = len([name for name in project.tasks if not name.startswith("pgsupervise.")])
    if not tasks and not project.policies:
        return ", but no tasks and no policies either: is your app in INSTALLED_APPS?"
    return f"; {tasks} {'task' if tasks == 1 else 'tasks'}, policies: {', '.join(project.policies) or 'none'}"


def _root() -> Any:
    return importlib.import_module(COMPOSITION_ROOT)
