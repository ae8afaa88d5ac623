"""The settings of the supervisor and of the web server under fire: a policy for each way to treat an unknown fate."""

import os

from tests.mailing.settings import *  # noqa: F403 - a variant of the tests' settings
from tests.mailing.settings import PGSUPERVISE as MAILING

PGSUPERVISE = {
    **MAILING,
    "SENDGRID_API_KEY": "SG.the-key-id.the-secret-part",
    # So long that only what hangs on purpose is given up: a busy machine must not add fates of its own.
    "SENDGRID_TIMEOUT": 20.0,
    "SENDGRID_WEBHOOK_KEYS": os.environ.get("TEST_WEBHOOK_KEY", MAILING["SENDGRID_WEBHOOK_KEYS"]),
    # It ends when the run says so: once what the provider took until then has been told of.
    "UNKNOWN_GRACE": 86_400,
    # Nobody decides here about what is held after so many copies.
    "MOST_COPIES": 12,
}
