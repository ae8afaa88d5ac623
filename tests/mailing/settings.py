"""The tests' settings, with digests by SendGrid."""

import json
import os

from tests.settings import *  # noqa: F403 - a variant of the tests' settings
from tests.settings import INSTALLED_APPS as COMMON_APPS

INSTALLED_APPS = [*COMMON_APPS, "tests.mailing"]
NOBODYS_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEielo04tgxbhNdXGafcf6e1cKulZ4"
    "2VAtVzDP2MxVhjVphBmp8Yt48T3ZGplFsVP2STA390IV0xf8mL/yQRtUlw=="
)
PGSUPERVISE = {
    "SENDGRID_HOST": os.environ.get("TEST_SENDGRID_HOST", "http://127.0.0.1:9"),
    "SENDGRID_TIMEOUT": float(os.environ.get("TEST_SENDGRID_TIMEOUT", "2")),
    "SENDGRID_WEBHOOK_KEYS": NOBODYS_KEY,
    "FROM_EMAIL": "Tests <tests@example.com>",
    "BASE_URL": "https://shop.example",
    "CHANNEL_LIMITS": json.loads(os.environ.get("TEST_CHANNEL_LIMITS", "{}")),
    "MOST_PER_HOUR": int(os.environ.get("TEST_MOST_PER_HOUR", "0")),
}
