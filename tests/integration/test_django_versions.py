"""pgsupervise works with Django 6 on the newest Python that the machine has, warnings as errors."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import django
import psycopg
import pytest

from pgsupervise.django_app import embedded
from tests.database import temporary_database
from tests.project.tasks import LEDGER
from tests.waiting import wait_until
from tests.wheel import ROOT, clean_environment, install, run

EVERYTHING = """
import importlib, pkgutil, django, pgsupervise
from django.core.management import call_command

django.setup()
names = [module.name for module in pkgutil.walk_packages(pgsupervise.__path__, "pgsupervise.")]
for name in names:
    # Not for importing, or by pytest alone.
    if not name.endswith(("__main__", "embedded_guard", "testing_plugin")) and ".replay." not in name:
        importlib.import_module(name)
assert len(names) > 50, names
assert django.VERSION[0] == 6, django.VERSION

call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
call_command("check", fail_level="WARNING")
"""


def newest_python() -> Path:
    """Return the newest interpreter that Django 6 runs on, or skip the test."""
    if django.VERSION[0] >= 6:
        pytest.skip("all tests run with Django 6 already")
    for version in ("3.14", "3.13", "3.12"):
        candidates = [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))]
        if on_path := shutil.which(f"python{version}"):
            candidates.append(on_path)
        for candidate in candidates:
            # Asked, since pyenv has a shim also for versions that it does not run.
            asked = subprocess.run([candidate, "--version"], check=False, capture_output=True, text=True)
            if asked.stdout.startswith(f"Python {version}."):
                return Path(candidate)
    pytest.skip("no Python 3.12 or newer is installed here: Django 6 is not tried")


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with Django 6; return the virtualenv's folder of programs."""
    python = newest_python()
    wheel: Path = request.getfixturevalue("wheel")
    return install(python, tmp_path_factory.mktemp("django6"), wheel, "Django>=6,<7")


@pytest.fixture
def fresh_dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """Create an empty database."""
    given = os.environ.get("PGSUPERVISE_TEST_DSN")
    if given is None:
        server: embedded.Server = request.getfixturevalue("server")
        given = server.dsn()
    with temporary_database(given) as fresh:
        yield fresh


def test_a_task_runs_on_the_migrated_database_of_a_django_6_project(programs: Path, fresh_dsn: str) -> None:
    environment = {
        "PGSUPERVISE_DSN": fresh_dsn,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),  # for tests.settings only: pgsupervise is the installed one
        "PYTHONWARNINGS": "error",
    }
    run(programs / "python", "-c", EVERYTHING, cwd=programs, **environment)

    with psycopg.connect(fresh_dsn, autocommit=True) as connection:
        connection.execute(LEDGER)
        connection.execute(
            "INSERT INTO pgsupervise_task (bucket, name, args) VALUES (0, 'tests.project.tasks.record', '[1]')"
        )
        supervisor = subprocess.Popen(
            [programs / "pgsupervise", "--partitions=2", "--metrics-port=0"],
            cwd=ROOT,
            env=clean_environment(**environment),
        )
        try:
            wait_until(lambda: supervisor.poll() is not None or finished(connection), 60, "the task is finished")
            assert finished(connection) == [("DONE",)]
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait() == 0
        finally:
            supervisor.kill()
            supervisor.wait()


def finished(connection: psycopg.Connection) -> list[tuple[str]]:
    """Return the states of the finished tasks."""
    return connection.execute("SELECT state FROM pgsupervise_finishedtask").fetchall()
