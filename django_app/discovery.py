"""The modules in which apps declare tasks and policies: each is imported by itself, so that all faults are told."""

from collections.abc import Iterator
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule

MODULES = ("tasks", "notifications")


def discover() -> None:
    """Import every app's modules of these names, where it has them.

    Raises what one of them has raised, and where there are several an ExceptionGroup of them, when all were tried.
    """
    failed = list(_failures())
    if len(failed) > 1:
        raise ExceptionGroup("several modules of tasks and notifications cannot be imported", failed)
    if failed:
        raise failed[0]


def _failures() -> Iterator[Exception]:
    for config in apps.get_app_configs():
        for name in MODULES:
            try:
                import_module(f"{config.name}.{name}")
            except Exception as error:
                # As Django's autodiscover_modules: an app without such a module is no fault.
                if config.module is None or module_has_submodule(config.module, name):
                    yield error
