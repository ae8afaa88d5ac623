"""Django's DATABASES for the run's database. Connections persist: that is the fastest for all who use them."""

import os
from urllib.parse import urlsplit

_dsn = urlsplit(os.environ["BENCH_DSN"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _dsn.path.lstrip("/"),
        "USER": _dsn.username,
        "HOST": _dsn.hostname,
        "PORT": _dsn.port,
        "CONN_MAX_AGE": None,
    }
}
