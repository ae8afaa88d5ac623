"""Steps of an installation, and the note that all of them were done."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.section import AbsentError

INSTALL_SECONDS = 240
_STAMP = "installed.txt"


def install(command: Sequence[str], folder: Path) -> None:
    """Run one step of an installation; its output stays beside the folder."""
    log_path = folder.with_suffix(".log")
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    cwd = folder if folder.is_dir() else folder.parent
    with log_path.open("a") as log:
        try:
            done = subprocess.run(
                command, cwd=cwd, env=environment, stdout=log, stderr=log, check=False, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise AbsentError(f"its installation took more than {INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        raise AbsentError(f"it cannot be installed here (see {log_path.name})")


def is_made(folder: Path, wanted: Sequence[str]) -> bool:
    """Return whether an environment was made, to its end, with exactly these requirements."""
    told = folder / _STAMP
    return told.is_file() and told.read_text().split() == list(wanted)


def stamp(folder: Path, wanted: Sequence[str]) -> None:
    """Note that an environment is whole."""
    (folder / _STAMP).write_text("\n".join(wanted) + "\n")
