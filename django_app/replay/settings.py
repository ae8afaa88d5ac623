"""Django settings of a replay: no project's, and a database of its own."""

import os

from psycopg.conninfo import conninfo_to_dict

from .options import DSN_VARIABLE

_dsn = {name: value for name, value in conninfo_to_dict(os.environ[DSN_VARIABLE]).items() if value is not None}

SECRET_KEY = "signs nothing"  # noqa: S105 - nothing is signed: a replay serves no page
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["pgsupervise.django_app", "pgsupervise.django_app.replay"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _dsn.pop("dbname"),
        "USER": _dsn.pop("user", ""),
        "PASSWORD": _dsn.pop("password", ""),
        "HOST": _dsn.pop("host", ""),
        "PORT": str(_dsn.pop("port", "")),
        "OPTIONS": _dsn,
    }
}
PGSUPERVISE = {
    "SENDGRID_API_KEY": os.environ.get("SENDGRID_API_KEY"),
    "SENDGRID_HOST": os.environ.get("SENDGRID_HOST") or None,
    "FROM_EMAIL": "pgsupervise replay <replay@example.com>",
    # Years are replayed within an hour, and with --chaos workers are killed all the time.
    "MOST_COPIES": 12,
    "MOST_PER_HOUR": 0,
}
