"""Paths of our own views, in a project that may have no URLs at all: one that only runs workers."""

from django.conf import settings
from django.urls import NoReverseMatch, reverse

CURE = 'add path("notifications/", include("pgsupervise.django_app.preference_urls")) to the project\'s URLs'


def own_path(view: str, *arguments: str) -> str:
    """Return the path of a view of pgsupervise.django_app.preference_urls.

    Raises NoReverseMatch, with the cure, where the project's URLs do not include that, or where it has none.
    """
    if not hasattr(settings, "ROOT_URLCONF"):
        raise NoReverseMatch(f"the settings have no ROOT_URLCONF; {CURE}")
    try:
        return reverse(f"pgsupervise_preferences:{view}", args=arguments)
    except NoReverseMatch as error:
        raise NoReverseMatch(f"{error}; {CURE}") from None
