"""Paths of our own views, in a project that may have no URLs at all: one that only runs workers."""

from django.conf import settings
from django.urls import NoReverseMatch, reverse


def own_path(view: str, *arguments: str) -> str:
    """Return the path of a view of pgsupervise.django_app.preference_urls.

    Raises NoReverseMatch where the project's URLs do not include that, or where it has none.
    """
    if not hasattr(settings, "ROOT_URLCONF"):
        raise NoReverseMatch(f"{view!r} has no path: the settings have no ROOT_URLCONF")
    return reverse(f"pgsupervise_preferences:{view}", args=arguments)
