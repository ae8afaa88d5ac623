"""A virtual environment of a peer's own, made once and kept."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.peers.installing import install, is_made, stamp
from tests.bench.section import AbsentError


@dataclass(slots=True)
class PythonEnvironment:
    """A virtual environment. The first requirement, `name==version`, is what is measured."""

    name: str
    requirements: tuple[str, ...]
    python: tuple[int, int] = (3, 11)
    """The oldest Python that it runs on."""
    _folder: Path = field(default=Path(), init=False)

    def prepare(self, cache: Path) -> None:
        """Make it, unless it was made with the same requirements."""
        self._folder = cache / "environments" / self.name
        if is_made(self._folder, self.requirements):
            return
        interpreter = find_python(self.python)
        if interpreter is None:
            raise AbsentError("it needs Python {}.{} or newer, and there is none".format(*self.python))
        shutil.rmtree(self._folder, ignore_errors=True)
        # With a pip of its own: ours may be too old for a newer Python.
        install([interpreter, "-m", "venv", str(self._folder)], self._folder)
        pip = [self.program("python"), "-m", "pip"]
        install([*pip, "install", "--quiet", "--disable-pip-version-check", *self.requirements], self._folder)
        stamp(self._folder, self.requirements)

    def program(self, name: str) -> str:
        """Return where one of its programs is."""
        return str(self._folder / "bin" / name)

    def variables(self) -> Mapping[str, str]:
        """Nothing: the interpreter knows where it is."""
        return {}

    def version(self) -> str:
        """Return the pinned version."""
        return self.requirements[0].partition("==")[2]


def find_python(oldest: tuple[int, int]) -> str | None:
    """Return an interpreter that is new enough: the running one, one on the path, or one that pyenv keeps."""
    return next((python for python in _interpreters() if _is_at_least(python, oldest)), None)


def _interpreters() -> Iterator[str]:
    yield sys.executable
    for minor in range(sys.version_info[1] + 1, sys.version_info[1] + 5):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    yield from (str(python) for python in sorted(kept.glob("3.*/bin/python3"), reverse=True))


def _is_at_least(python: str, oldest: tuple[int, int]) -> bool:
    test = f"import sys; sys.exit(sys.version_info < {oldest!r})"
    return subprocess.run([python, "-c", test], capture_output=True, check=False).returncode == 0
