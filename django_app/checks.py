"""System checks: what would make pgsupervise fail at run time is said at start, with its cure."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router


@register(Tags.models)
def check_database_is_postgresql(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a database other than PostgreSQL for pgsupervise's tables."""
    from pgsupervise.django_app.models import Task

    alias = router.db_for_write(Task)
    connection = connections[alias]
    if connection.vendor == "postgresql":
        return []
    return [
        Error(
            f"pgsupervise needs PostgreSQL, but DATABASES[{alias!r}] uses {connection.settings_dict['ENGINE']!r}.",
            hint="Set its ENGINE to 'django.db.backends.postgresql', or route the app label 'pgsupervise' to a "
            "PostgreSQL database with a database router.",
            id="pgsupervise.E001",
        )
    ]
