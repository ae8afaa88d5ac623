"""Which installation of pgsupervise a message comes from: others may send by the same account of a provider."""

from django.conf import settings as django_settings
from django.utils.crypto import salted_hmac

from . import settings

SALT = "pgsupervise.installation"
LENGTH = 24


def installation_ids() -> tuple[str, ...]:
    """Return this installation's id, and those by which it was known under SECRET_KEY_FALLBACKS.

    Opaque, as whatever goes to a provider: made of the SECRET_KEY and PGSUPERVISE["INSTALLATION"]. A staging system
    with a copy of production's database has the same deliveries, but what it sends must prove nothing about those.
    """
    name = settings.read().installation
    keys = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    return tuple(salted_hmac(SALT, name, secret=key, algorithm="sha256").hexdigest()[:LENGTH] for key in keys)
