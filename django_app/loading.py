"""Django is set up for the processes: whatever keeps the project from loading is told at once, each with its cure."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterator

import django
from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE
from django.conf import settings as django_settings

from .texts import one_line

APP = "pgsupervise.django_app"
NOT_INSTALLED = (
    f"{APP!r} is missing from INSTALLED_APPS{{instead}}: add it, beside your own app, and run manage.py migrate"
)
NOT_THE_PROJECTS = {"pgsupervise", *sys.stdlib_module_names}
"""Packages whose lines are no place at which anybody could mend a project; nor are those of other distributions."""


class ProjectError(Exception):
    """The project cannot be loaded; each of its arguments is a fault, with the cure."""

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


def set_up(module: str) -> None:
    """Set Django up by a settings module. Raises ProjectError with all faults of what does not load."""
    if not module:
        raise ProjectError("no settings module: give --settings mysite.settings, or set DJANGO_SETTINGS_MODULE")
    os.environ[ENVIRONMENT_VARIABLE] = module
    # A console script, unlike manage.py, does not look for modules where it was started.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ProjectError(fault_of(module, error)) from error
    failure: Exception | None = None
    try:
        django.setup()
    except Exception as error:
        failure = error
    if failure is None and apps.is_installed(APP):
        return
    raise ProjectError(*_faults(module, failure)) from failure


def place_of(error: BaseException) -> str:
    """Return where the project's own code has failed, as `file:line`; empty where none of it took part."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in NOT_THE_PROJECTS and "site-packages" not in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename}:{line}"
    return ""


def _faults(module: str, failure: Exception | None) -> Iterator[str]:
    """Yield what has failed, and what else is wrong that can be known all the same."""
    if not_installed := _not_installed():
        yield not_installed
    elif failure is not None:
        for error in failure.exceptions if isinstance(failure, ExceptionGroup) else [failure]:
            yield fault_of(module, error)
    if django_settings.configured:
        from . import settings

        yield from settings.problems()
    if not_installed or not apps.models_ready:
        return
    from . import composition

    yield from composition.database_problems()


def _not_installed() -> str:
    try:
        installed = list(django_settings.INSTALLED_APPS)
    except Exception:  # the settings are faulty themselves, and that is told
        return ""
    if "pgsupervise" in installed:
        return NOT_INSTALLED.format(instead=", where 'pgsupervise' alone is no app")
    # Named by itself, by the path of its class, or by a class of the project's own, which only Django can tell.
    named = any(str(name).startswith(f"{APP}.") or name == APP for name in installed)
    return "" if named or not apps.apps_ready or apps.is_installed(APP) else NOT_INSTALLED.format(instead="")


def fault_of(module: str, error: BaseException) -> str:
    """Return in one line what a project has raised, and where."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return (
            f"the settings module {module!r} cannot be imported: {error}; check its name, and start in the project's "
            "folder or add that folder to PYTHONPATH"
        )
    place, reason = place_of(error), one_line(f"{type(error).__name__}: {error}")
    return f"the project of settings {module!r} does not load: {reason}{f' ({place})' if place else ''}"
