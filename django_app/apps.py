"""The Django application's registration."""

from django.apps import AppConfig


class PgSuperviseConfig(AppConfig):
    """`INSTALLED_APPS = ["pgsupervise.django_app"]`; every app's `tasks` and `notifications` modules are imported."""

    name = "pgsupervise.django_app"
    label = "pgsupervise"
    verbose_name = "pgsupervise"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks and import the modules that declare tasks and policies."""
        # Imported for what they register: checks, and the task and the source of followers of a fan-out.
        from pgsupervise.django_app import checks, fanout  # noqa: F401
        from pgsupervise.django_app.discovery import discover

        discover()
