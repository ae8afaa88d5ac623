"""The wheel, built and installed as a user's machine would do it."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("partitions", "metrics", "supervisor", "django_app")
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.py[co]", ".*")
NOT_INHERITED = ("DJANGO_SETTINGS_MODULE", "PGSUPERVISE_DSN")  # nor what is said to the tests' own Python


def clean_environment(**added: str) -> dict[str, str]:
    """Return this process's environment without what would let the checkout into another virtualenv."""
    kept = (name for name in os.environ if name not in NOT_INHERITED and not name.startswith("PYTHON"))
    return {**{name: os.environ[name] for name in kept}, **added}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program as somebody would who has never seen the checkout, and return its output."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env=clean_environment(**environment)
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_source(tree: Path) -> None:
    """Copy what a wheel is built from: setuptools would leave `build/` in the tree, and pick up what lies there."""
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tree)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=NOT_SOURCE)


def build(tree: Path) -> Path:
    """Build the wheel with the setuptools that the dev extra installs."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", cwd=tree)
    (built,) = (tree / "dist").glob("*.whl")
    return built


def install(python: Path, home: Path, *requirements: str | Path) -> Path:
    """Make a virtualenv with what is required and what that depends on; return its folder of programs."""
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    if python == Path(sys.executable):
        run(python, "-m", "venv", "--without-pip", home, cwd=home)
        pip("install", *options, *requirements, home=home)
    else:
        # By a pip of its own: ours may be too old for a newer Python.
        run(python, "-m", "venv", home, cwd=home)
        run(home / "bin" / "python", "-m", "pip", "install", *options, *requirements, cwd=home)
    return home / "bin"


def pip(command: str, *arguments: str | Path, home: Path) -> str:
    """Let our own pip work on a virtualenv: to give each a pip of its own takes longer than all else about it."""
    options = ("--disable-pip-version-check", "--python", home / "bin" / "python")
    return run(sys.executable, "-m", "pip", *options, command, *arguments, cwd=home)


def lend_dependencies(home: Path, wheel: Path) -> None:
    """Lend a virtualenv of our own Python what a wheel depends on, as links to where it is installed for us."""
    (target,) = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        required = message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    for distribution in closure(required):
        for part in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (target / part).symlink_to(Path(str(distribution.locate_file(part))))


def closure(required: Iterable[str]) -> list[metadata.Distribution]:
    """Return what is required and what that requires in turn, of extras only those that are asked for."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(Requirement(text), "") for text in required]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        distribution = found.setdefault(requirement.name, metadata.distribution(requirement.name))
        asked = ["", *requirement.extras]
        waiting += [(Requirement(text), extra) for text in distribution.requires or () for extra in asked]
    return list(found.values())
