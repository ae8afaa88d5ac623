"""A Django project with django-ox."""

from databases import DATABASES  # noqa: F401 - a setting

SECRET_KEY = "only for the benchmark"
USE_TZ = True
INSTALLED_APPS = ["django_ox"]
TASKS = {"default": {"BACKEND": "django_ox.backend.OxBackend"}}
