"""Who may see and change whose wishes: a user its own, and whoever has a recipient's signed link that recipient's."""

from datetime import timedelta
from typing import Any

from django.core import signing
from django.utils.module_loading import import_string

from .own_paths import own_path
from .preferences_checks import check_recipient
from .settings import read

SALT = "pgsupervise.preferences"


def preferences_url(recipient: str) -> str:
    """Return the path of a recipient's own preferences page: whoever has it needs no login.

    It is good for PGSUPERVISE["PREFERENCES_LINK_DAYS"] days. Raises TypeError or ValueError for what is no recipient,
    and NoReverseMatch where the project's URLs do not include pgsupervise.django_app.preference_urls.
    """
    check_recipient(recipient)
    return own_path("signed", signing.dumps(recipient, salt=SALT))


def recipient_of_link(token: str) -> str:
    """Return whose page a link is. Raises SignatureExpired, or BadSignature for one that was never ours."""
    recipient = signing.loads(token, salt=SALT, max_age=timedelta(days=read().preferences_link_days))
    if not isinstance(recipient, str):
        raise signing.BadSignature("it names no recipient")
    return recipient


def recipient_of_user(user: Any) -> str:
    """Return which recipient a user is, by PGSUPERVISE["RECIPIENT_OF_USER"]; empty where it is none."""
    given = read().recipient_of_user
    found = import_string(given)(user) if given else getattr(user, "email", "")
    return str(found) if found else ""
