"""Settings of the growth curves: nothing of Django but what pgsupervise needs."""

import os

from psycopg.conninfo import conninfo_to_dict

from tests.bench.own.project import variables

_dsn = conninfo_to_dict(os.environ.get("PGSUPERVISE_DSN", "dbname=unset"))

SECRET_KEY = "signs nothing"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["pgsupervise.django_app", "tests.bench.own.project"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _dsn.get("dbname", ""),
        "USER": _dsn.get("user", ""),
        "PASSWORD": _dsn.get("password", ""),
        "HOST": _dsn.get("host", ""),
        "PORT": _dsn.get("port", ""),
        # As a server process has it that keeps its connection: what is measured is the call, not the connecting.
        "CONN_MAX_AGE": None,
    }
}
PGSUPERVISE = {
    "SENDGRID_API_KEY": "SG.the-key-id.the-secret-part",
    "SENDGRID_HOST": os.environ.get(variables.SENDGRID_HOST, "http://127.0.0.1:9"),
    "FROM_EMAIL": "Bench <bench@example.com>",
}
