"""System checks: what would make pgsupervise fail at run time is said at start, with its cure."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
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


@register()
def check_mail_can_be_unsubscribed_from(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of mail without a link to unsubscribe."""
    from pgsupervise.django_app.policies import registry
    from pgsupervise.django_app.unsubscribe_checks import lost_links

    lost = lost_links(registry.values())
    return [Warning(lost, id="pgsupervise.W001")] if lost else []
