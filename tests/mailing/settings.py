"""The tests' settings, with digests by SendGrid."""

import os

from tests.settings import *  # noqa: F403 - a variant of the tests' settings
from tests.settings import INSTALLED_APPS as COMMON_APPS

INSTALLED_APPS = [*COMMON_APPS, "tests.mailing"]
PGSUPERVISE = {
    "SENDGRID_HOST": os.environ.get("TEST_SENDGRID_HOST", "http://127.0.0.1:9"),
    "SENDGRID_TIMEOUT": float(os.environ.get("TEST_SENDGRID_TIMEOUT", "2")),
    "FROM_EMAIL": "Tests <tests@example.com>",
}
