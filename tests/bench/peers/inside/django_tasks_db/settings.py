"""A Django project with django-tasks-db."""

from databases import DATABASES  # noqa: F401 - a setting

SECRET_KEY = "only for the benchmark"
USE_TZ = True
INSTALLED_APPS = ["django_tasks", "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
