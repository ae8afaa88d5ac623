"""Mail from which nobody can unsubscribe by one click: told at start, since large receivers turn it away."""

from collections.abc import Iterable

from django.urls import NoReverseMatch

from . import settings
from .channels import is_mail
from .policies import Policy
from .unsubscribe_links import unsubscribe_path

INCLUDED = 'path("notifications/", include("pgsupervise.django_app.preference_urls"))'


def lost_links(policies: Iterable[Policy]) -> str:
    """Return why mail of these policies has no links to unsubscribe, with the cure; empty where it has them."""
    names = [
        policy.name
        for policy in policies
        if policy.digest is None and not policy.required and any(map(is_mail, policy.every_channel))
    ]
    if not names:
        return ""
    cures = []
    if not settings.sound().base_url and "BASE_URL" not in settings.faults():
        cures.append('set PGSUPERVISE["BASE_URL"] to where the project is reached, such as "https://shop.example"')
    if not _is_included():
        cures.append(f"add {INCLUDED} to the project's URLs")
    if not cures:
        return ""
    return (
        f"mail of {', '.join(names)} has no link to unsubscribe and none to the recipient's preferences: Gmail, Yahoo "
        f"and Outlook ask for one click (RFC 8058) of those who send much; {' and '.join(cures)}"
    )


def _is_included() -> bool:
    try:
        unsubscribe_path("-")
    except NoReverseMatch:
        return False
    return True
