"""The command line's options: one row each, with the defaults of `Config`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from .config import Config


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic only in click's newest stubs
    """A duration in seconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return a timedelta for a number of seconds."""
        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(seconds=float(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)


_DEFAULT = Config()
_LEVELS = click.Choice(["debug", "info", "warning", "error"])
_VARIABLES = {"--settings": "DJANGO_SETTINGS_MODULE", "--grace-period": "PGSUPERVISE_GRACE_PERIOD"}
_OPTIONS: list[tuple[str, Any, Any, str]] = [
    ("--partitions", int, _DEFAULT.partitions, "Cut the 256 buckets into this many partitions."),
    ("--processes", int, None, "Worker processes.  [default: one a partition]"),
    ("--settings", str, None, "Django settings module.  [env: DJANGO_SETTINGS_MODULE]"),
    ("--metrics-host", str, _DEFAULT.metrics_host, "Address of /metrics and the probes."),
    ("--metrics-port", int, _DEFAULT.metrics_port, "Its port; 0 takes any free one."),
    ("--drain-timeout", Seconds(), _DEFAULT.drain_timeout.total_seconds(), "Seconds for work in hand after TERM."),
    ("--beat", Seconds(), _DEFAULT.beat.total_seconds(), "Seconds between heartbeats."),
    ("--dead-after", Seconds(), _DEFAULT.dead_after.total_seconds(), "Seconds of silence until a worker is dead."),
    ("--senders", int, _DEFAULT.senders, "Sending threads a worker."),
    ("--poll", Seconds(), _DEFAULT.poll.total_seconds(), "Seconds between looks for work where nothing wakes it."),
    ("--keep-finished", click.IntRange(1, 36500), _DEFAULT.keep_finished.days, "Days that finished tasks are kept."),
    ("--max-tasks", int, None, "Replace a worker after so many tasks.  [default: never]"),
    ("--max-memory", int, None, "Replace a worker that holds so many MiB.  [default: never]"),
    ("--max-age", Seconds(), None, "Replace a worker after so many seconds.  [default: never]"),
    (
        "--grace-period",
        Seconds(),
        None,
        "Seconds from TERM to KILL allowed here.  [env: PGSUPERVISE_GRACE_PERIOD]",
    ),
    ("--log-level", _LEVELS, "info", "How much to log."),
]


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all options of the supervisor."""
    for name, kind, default, text in reversed(_OPTIONS):
        envvar = _VARIABLES.get(name)
        shown = default is not None
        command = click.option(name, type=kind, default=default, show_default=shown, help=text, envvar=envvar)(command)
    return command
