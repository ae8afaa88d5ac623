"""What each program does around its own part: Django, parameters in, JSON out."""

import json
import sys
from collections.abc import Callable
from typing import Any

import django


def run(program: Callable[..., Any]) -> None:
    """Call the program with the parameters of the command line and print what it returns."""
    sys.stdout.write(json.dumps(program(**json.loads(sys.argv[1]))))


django.setup()  # on import: what a program imports next are models
