"""The links that a mail has: to unsubscribe by one click, as RFC 8058 has it, and to the recipient's preferences."""

from typing import Any, NamedTuple
from urllib.parse import quote

from django.urls import NoReverseMatch

from pgsupervise.django_app.policies import Policy
from pgsupervise.django_app.preferences_links import preferences_url
from pgsupervise.django_app.settings import read
from pgsupervise.django_app.unsubscribe_links import token_of, unsubscribe_path
from pgsupervise.partitions.rows import DueBatch

ONE_CLICK = "List-Unsubscribe=One-Click"


class Links(NamedTuple):
    """Whole URLs, each empty where there is none."""

    unsubscribe_url: str = ""
    preferences_url: str = ""
    unsubscribe_mail: str = ""
    """A mailto: URL."""

    def as_context(self) -> dict[str, Any]:
        """Return what templates see."""
        return {"unsubscribe_url": self.unsubscribe_url, "preferences_url": self.preferences_url}

    def headers(self) -> dict[str, str]:
        """Return the headers of RFC 8058, section 3.1; none without an https URL, which it demands."""
        if not self.unsubscribe_url:
            return {}
        uris = [self.unsubscribe_url, *([self.unsubscribe_mail] if self.unsubscribe_mail else [])]
        return {"List-Unsubscribe": ", ".join(f"<{uri}>" for uri in uris), "List-Unsubscribe-Post": ONE_CLICK}


NO_LINKS = Links()


def links_of(policy: Policy, batch: DueBatch) -> Links:
    """Return the links of a batch's mail. What is required cannot be unsubscribed from.

    There are none without PGSUPERVISE["BASE_URL"], or where the project's URLs do not include
    pgsupervise.django_app.preference_urls; the start warns of both.
    """
    settings = read()
    base = settings.base_url.rstrip("/")
    if not base:
        return NO_LINKS
    try:
        preferences = f"{base}{preferences_url(batch.recipient)}"
        if policy.required:
            return Links(preferences_url=preferences)
        token = token_of(batch.bucket, batch.id)
        address = settings.unsubscribe_mailto
        mail = f"mailto:{quote(address, safe='@')}?subject={quote(f'unsubscribe {token}')}" if address else ""
        return Links(f"{base}{unsubscribe_path(token)}", preferences, mail)
    except NoReverseMatch:
        return NO_LINKS
