"""System checks: what would fail at run time is said by `manage.py check`."""

import os
import subprocess
import sys
from pathlib import Path

SQLITE = """
SECRET_KEY = "only for a test"
USE_TZ = True
INSTALLED_APPS = ["pgsupervise.django_app"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sqlite_settings", "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, env=environment, cwd=folder, check=False
    )


def test_a_task_that_is_enqueued_while_its_module_is_imported_is_refused(tmp_path: Path) -> None:
    """Otherwise every command of the project would enqueue another one, and `migrate` would fail."""
    app = tmp_path / "hasty"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "tasks.py").write_text(
        "from pgsupervise.django_app.tasks import task\n\n@task\ndef one() -> None: ...\n\none.enqueue()\n"
    )
    settings = SQLITE.replace("sqlite3", "postgresql").replace('["pg', '["hasty", "pg')
    (tmp_path / "sqlite_settings.py").write_text(settings)
    ran = run(tmp_path, "django", "check")
    assert ran.returncode != 0
    assert "call it from a view or another function" in ran.stderr


def test_a_database_other_than_postgresql_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "sqlite_settings.py").write_text(SQLITE)
    for command in (["django", "check"], ["pgsupervise.supervisor", "--metrics-port", "0", "check"]):
        ran = run(tmp_path, *command)
        assert ran.returncode != 0
        assert "django.db.backends.sqlite3" in ran.stderr
        assert "django.db.backends.postgresql" in ran.stderr
        assert "Traceback" not in ran.stderr
