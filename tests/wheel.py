"""The wheel, built and installed as a user's machine would do it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
    run(python, "-m", "venv", home, cwd=home)
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    run(home / "bin" / "python", "-m", "pip", "install", *options, *requirements, cwd=home)
    return home / "bin"
