"""Durations and fault schedules as they are written on the command line."""

import re
from datetime import timedelta
from typing import Any

import click

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd])", re.ASCII)
KILL = re.compile(r"kill:(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)


def duration(text: str) -> timedelta:
    """Return what "90s", "5m", "1h" or "1d" means. Raises ValueError for anything else."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 90s, 5m, 1h or 1d")
    return timedelta(**{UNITS[match[2]]: float(match[1])})


def kill_interval(text: str) -> timedelta:
    """Return the time between two kills of "kill:SECONDS". Raises ValueError for anything else."""
    match = KILL.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is not kill:SECONDS, such as kill:1")
    return timedelta(seconds=float(match[1]))


class Duration(click.ParamType[timedelta]):
    """A duration option."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return a timedelta."""
        try:
            return value if isinstance(value, timedelta) else duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Chaos(click.ParamType[timedelta]):
    """The option that says which faults to cause; so far only kills."""

    name = "kill:seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time between two kills."""
        try:
            return value if isinstance(value, timedelta) else kill_interval(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
