"""System checks: what would fail at run time is said by `manage.py check`."""

import pytest
from django.db import connection

from pgsupervise.django_app.checks import check_database_is_postgresql


def test_postgresql_is_fine() -> None:
    assert check_database_is_postgresql(None) == []


def test_another_database_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connection), "vendor", "sqlite", raising=False)
    monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.sqlite3")
    (error,) = check_database_is_postgresql(None)
    assert error.id == "pgsupervise.E001"
    assert "django.db.backends.sqlite3" in error.msg
    assert error.hint is not None
    assert "django.db.backends.postgresql" in error.hint
