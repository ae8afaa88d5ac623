"""A project that does not load: all that is wrong is told at once, at the project's own lines, with the cure."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pgsupervise.django_app import composition, policies
from pgsupervise.django_app.policies import PolicyError
from pgsupervise.supervisor import cli
from pgsupervise.supervisor.project import TaskSpec
from tests.registries import own_registries

ROOT = Path(__file__).parents[2]
SETTINGS = """
from tests.settings import *
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", {apps}]
PGSUPERVISE = {{"COLOUR": "red"}}
"""
POLICY = """from datetime import timedelta
from pgsupervise.django_app.policies import Policy, register

register(Policy(name="comments", window=timedelta(0)))
"""
AWAY = "host=/nowhere dbname=x user=u"


def check(folder: Path, apps: str, dsn: str = AWAY) -> list[str]:
    """Return the faults that `check` tells of a project with these apps, whose database is away or somewhere."""
    (folder / "shop_settings.py").write_text(SETTINGS.format(apps=apps))
    paths = os.pathsep.join([str(folder), str(ROOT), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "PGSUPERVISE_DSN": dsn}
    command = [sys.executable, "-m", "pgsupervise.supervisor", "check", "--settings", "shop_settings"]
    ran = subprocess.run(
        [*command, "--metrics-port", "0"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 2
    return ran.stderr.splitlines()


def app(folder: Path, name: str, **modules: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    for module, text in modules.items():
        (folder / name / f"{module}.py").write_text(text)


def test_each_faulty_module_is_told_with_its_line_and_so_are_settings_and_database(tmp_path: Path) -> None:
    app(tmp_path, "shop", notifications=POLICY, tasks="x = = 1\n")
    app(tmp_path, "blog", tasks="import json\n\njson.loads('{')\n")
    found = [line.removeprefix("error: ") for line in check(tmp_path, "'pgsupervise.django_app', 'shop', 'blog'")]
    project = "the project of settings 'shop_settings' does not load: "
    assert [line.partition(" (")[0] for line in found] == [
        f"{project}SyntaxError: invalid syntax",
        f"{project}PolicyError: policy 'comments': window is 0:00:00: it must be longer than zero",
        f"{project}JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2",
        "PGSUPERVISE has the unknown key 'COLOUR': known are " + found[3].partition("known are ")[2],
        "cannot connect to PostgreSQL at /nowhere, port 5432, database 'x': " + found[4].partition("'x': ")[2],
    ]
    for line, place in zip(found, ("shop/tasks.py:1", "shop/notifications.py:4", "blog/tasks.py:3"), strict=False):
        assert line.endswith(f" ({tmp_path}/{place})")


def test_a_faulty_module_is_told_where_the_database_is_as_it_should_be(tmp_path: Path, db: str) -> None:
    app(tmp_path, "shop", tasks="import no_such_module\n")
    found = check(tmp_path, "'pgsupervise.django_app', 'shop'", db)
    assert len(found) == 2, found
    assert "ModuleNotFoundError: No module named 'no_such_module'" in found[0]
    assert "unknown key 'COLOUR'" in found[1]


@pytest.mark.parametrize(
    ("apps", "instead"), [("'shop'", ""), ("'pgsupervise', 'shop'", ", where 'pgsupervise' alone")]
)
def test_an_app_that_is_not_installed_is_told_with_the_cure(tmp_path: Path, apps: str, instead: str) -> None:
    app(tmp_path, "shop")
    missing, setting = check(tmp_path, apps)
    assert missing.startswith(f"error: 'pgsupervise.django_app' is missing from INSTALLED_APPS{instead}")
    assert missing.endswith("add it, beside your own app, and run manage.py migrate")
    assert "COLOUR" in setting


def test_what_the_package_brings_along_is_not_counted_as_the_users() -> None:
    with own_registries():
        found = composition.assemble()
    own = {name: spec for name, spec in found.tasks.items() if name.startswith("pgsupervise.")}
    assert own
    assert (
        cli._found(replace(found, tasks=own, policies={}))
        == ", but no tasks and no policies either: is your app in INSTALLED_APPS?"
    )
    assert cli._found(replace(found, tasks={**own, "a": TaskSpec()})) == "; 1 task, policies: hourly, sliding"


def test_where_there_is_no_policy_at_all_the_app_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_registry", {})
    with pytest.raises(PolicyError, match="add that app to INSTALLED_APPS: there is no policy"):
        policies.registered("comments")
