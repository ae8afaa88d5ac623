"""Its settings; the database is the run's."""

import os
from urllib.parse import urlsplit

_dsn = urlsplit(os.environ.get("BENCH_DSN", "postgresql://postgres@127.0.0.1/unset"))

SECRET_KEY = "only for the benchmark"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "pgsupervise.django_app", "tests.bench.project"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _dsn.path.lstrip("/"),
        "USER": _dsn.username,
        "HOST": _dsn.hostname,
        "PORT": _dsn.port,
    }
}
