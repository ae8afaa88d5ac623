"""`manage.py pgsupervise ...`: the console script `pgsupervise`, where the settings are those of manage.py."""

import argparse
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Hands its arguments over as they are, --help too."""

    help = "Run and inspect pgsupervise: the same as the console script of that name."
    requires_system_checks: Sequence[str] = []  # type: ignore[assignment]  # the command line checks by itself

    def run_from_argv(self, argv: list[str]) -> None:
        """Run what stands behind `manage.py pgsupervise`; options are not Django's to understand."""
        self._hand_over(argv[2:], f"{argv[0]} {argv[1]}")

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything, for `call_command`."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run as `call_command("pgsupervise", ...)`. Raises SystemExit with the exit code, unless it is 0."""
        try:
            self._hand_over(options["arguments"], "pgsupervise")
        except SystemExit as ended:
            if ended.code:
                raise

    def _hand_over(self, arguments: Sequence[str], name: str) -> None:
        from pgsupervise.supervisor.cli import main

        main(args=list(arguments), prog_name=name)
