"""The chaos suite's settings: the tests' own, with tasks that keep a ledger and digests by inbox and by SendGrid."""

import os

from tests.settings import *  # noqa: F403 - a variant of the tests' settings
from tests.settings import INSTALLED_APPS as COMMON_APPS

# Both apps would have the label "project".
INSTALLED_APPS = [*(app for app in COMMON_APPS if app != "tests.project"), "tests.chaos.project"]
PGSUPERVISE = {
    "SENDGRID_API_KEY": "SG.the-key-id.the-secret-part",
    "SENDGRID_HOST": os.environ.get("CHAOS_SENDGRID_HOST", "http://127.0.0.1:9"),
    "SENDGRID_TIMEOUT": 2.0,
    "FROM_EMAIL": "Chaos <chaos@example.com>",
    # Whoever is killed all the time may be killed twelve times with the same message; and all of it is one hour.
    "MOST_COPIES": 12,
    "MOST_PER_HOUR": 0,
}
