"""Environments of the peers' own, made once and kept: a virtual environment or a folder of node modules each."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.section import AbsentError

INSTALL_SECONDS = 240
_STAMP = "installed.txt"


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
        if _is_made(self._folder, self.requirements):
            return
        interpreter = find_python(self.python)
        if interpreter is None:
            raise AbsentError("it needs Python {}.{} or newer, and there is none".format(*self.python))
        shutil.rmtree(self._folder, ignore_errors=True)
        install([interpreter, "-m", "venv", "--without-pip", str(self._folder)], self._folder)
        pip = [sys.executable, "-m", "pip", "--python", self.program("python")]  # this one's pip saves installing it
        install([*pip, "install", "--quiet", "--disable-pip-version-check", *self.requirements], self._folder)
        _stamp(self._folder, self.requirements)

    def program(self, name: str) -> str:
        """Return where one of its programs is."""
        return str(self._folder / "bin" / name)

    def variables(self) -> Mapping[str, str]:
        """Nothing: the interpreter knows where it is."""
        return {}

    def version(self) -> str:
        """Return the pinned version."""
        return self.requirements[0].partition("==")[2]


@dataclass(slots=True)
class NodeEnvironment:
    """A folder of node modules."""

    name: str
    package: str
    pinned: str
    _folder: Path = field(default=Path(), init=False)

    def prepare(self, cache: Path) -> None:
        """Make it, unless it was made with the same version."""
        self._folder = cache / "environments" / self.name
        wanted = (f"{self.package}@{self.pinned}",)
        if _is_made(self._folder, wanted):
            return
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise AbsentError("it needs node and npm")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        (self._folder / "package.json").write_text(json.dumps({"private": True}))
        install(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", *wanted],
            self._folder,
        )
        _stamp(self._folder, wanted)

    def program(self, name: str) -> str:
        """Return node itself, or a program of a module."""
        return shutil.which("node") or "node" if name == "node" else str(self._folder / "node_modules" / ".bin" / name)

    def variables(self) -> Mapping[str, str]:
        """Return where `require` looks."""
        return {"NODE_PATH": str(self._folder / "node_modules")}

    def version(self) -> str:
        """Return the pinned version."""
        return self.pinned


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


def _is_made(folder: Path, wanted: Sequence[str]) -> bool:
    stamp = folder / _STAMP
    return stamp.is_file() and stamp.read_text().split() == list(wanted)


def _stamp(folder: Path, wanted: Sequence[str]) -> None:
    (folder / _STAMP).write_text("\n".join(wanted) + "\n")
