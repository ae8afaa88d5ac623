"""What the `PGSUPERVISE` setting says about channels: the faults of each key, told without a secret."""

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping

from django.utils.module_loading import import_string

from .texts import shorten

SECRET_PREFIX = "whsec_"  # noqa: S105 - how one begins
SHORTEST_SECRET, LONGEST_SECRET = 24, 64
Fault = str | None


def backend_fault(value: object) -> Fault:
    """Return what is wrong with the name of an e-mail backend."""
    cure = 'it must be the dotted name of an e-mail backend, such as "django.core.mail.backends.smtp.EmailBackend"'
    return _import_fault(value, cure)


def options_fault(value: object) -> Fault:
    """Return what is wrong with a backend's options, without showing one."""
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return None
    return f"is of type {type(value).__name__}: it must be a dict of what the backend's class takes"


def seconds_fault(value: object) -> Fault:
    """Return what is wrong with a timeout."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 600:
        return None
    return f"is {shorten(value)}: it must be a number of seconds, more than 0 and at most 600"


def endpoints_fault(value: object) -> Fault:
    """Return what is wrong with the webhooks' endpoints, without showing a secret or a URL."""
    if isinstance(value, str):
        return _import_fault(value, 'it must be a dict, or the dotted name of a function, such as "shop.hooks.of"')
    if not isinstance(value, Mapping):
        return f"is of type {type(value).__name__}: it must be a dict, or the dotted name of a function"
    for name, endpoint in value.items():
        if not isinstance(endpoint, Mapping) or set(endpoint) != {"url", "secrets"}:
            return f'has {shorten(name)}, which must be {{"url": "https://...", "secrets": ["whsec_..."]}}'
        fault = url_fault(endpoint["url"]) or secrets_fault(endpoint["secrets"])
        if fault:
            return f"has {shorten(name)}, whose {fault}"
    return None


def urls_fault(value: object) -> Fault:
    """Return what is wrong with secret URLs by name, without showing one."""
    if isinstance(value, str):
        return _import_fault(value, 'it must be a dict, or the dotted name of a function, such as "shop.slack.url_of"')
    if not isinstance(value, Mapping):
        return f"is of type {type(value).__name__}: it must be a dict, or the dotted name of a function"
    faults = ((name, url_fault(url)) for name, url in value.items())
    return next((f"has {shorten(name)}, whose {fault}" for name, fault in faults if fault), None)


def url_fault(value: object) -> Fault:
    """Return what is wrong with a URL, which may be a secret itself."""
    if isinstance(value, str) and value.startswith(("https://", "http://")) and value.isprintable():
        return None
    return "url is none: it must begin with https:// or http://"


def secrets_fault(value: object) -> Fault:
    """Return what is wrong with the secrets of an endpoint: by Standard Webhooks they have 24 to 64 random bytes."""
    if not isinstance(value, list | tuple) or not value:
        return 'secrets must be a list such as ["whsec_..."]: the newest first, and the old ones while they are rotated'
    for secret in value:
        try:
            size = len(secret_bytes(secret))
        except (TypeError, ValueError):
            return f"secrets must begin with {SECRET_PREFIX}, and go on with base64"
        if not SHORTEST_SECRET <= size <= LONGEST_SECRET:
            return f"secrets must have {SHORTEST_SECRET} to {LONGEST_SECRET} bytes before base64: one has {size}"
    return None


def secret_bytes(secret: object) -> bytes:
    """Return the key of a Standard Webhooks secret. Raises TypeError or ValueError, in which it is not shown."""
    if not isinstance(secret, str):
        raise TypeError("a webhook's secret must be a str")
    try:
        return base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook's secret is not base64") from None


def networks_fault(value: object) -> Fault:
    """Return what is wrong with a list of networks."""
    cure = 'it must be a list of networks, such as ["10.20.0.0/16"]'
    if not isinstance(value, list | tuple):
        return f"is {shorten(value)}: {cure}"
    for network in value:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            return f"has {shorten(network)}, which is no network ({error}): {cure}"
    return None


def templates_fault(value: object) -> Fault:
    """Return what is wrong with the dynamic templates of policies."""
    cure = (
        'it must be a dict of policies and dynamic templates, such as {"comments": "d-..."}; "*" is every other policy'
    )
    if not isinstance(value, Mapping):
        return f"is {shorten(value)}: {cure}"
    bad = [name for name, id_ in value.items() if not (isinstance(id_, str) and id_.startswith("d-") and id_.isascii())]
    return f"has {shorten(bad[0])}, whose template does not begin with d-: {cure}" if bad else None


def _import_fault(value: object, cure: str) -> Fault:
    if not isinstance(value, str):
        return f"is of type {type(value).__name__}: {cure}"
    if value and not ("." in value and all(part.isidentifier() for part in value.split("."))):
        return f"is no dotted name: {cure}"  # not shown: it may be a URL, and that a secret
    try:
        found = import_string(value) if value else callable
    except ImportError as error:
        return f"is {shorten(value)}, which does not import ({error}): {cure}"
    return None if callable(found) else f"is {shorten(value)}, which cannot be called: {cure}"


CHECKS: dict[str, Callable[[object], Fault]] = {
    "EMAIL_BACKEND": backend_fault,
    "EMAIL_OPTIONS": options_fault,
    "EMAIL_TIMEOUT": seconds_fault,
    "WEBHOOK_ENDPOINTS": endpoints_fault,
    "WEBHOOK_TIMEOUT": seconds_fault,
    "WEBHOOK_ALLOWED_NETWORKS": networks_fault,
    "SLACK_WEBHOOKS": urls_fault,
    "SENDGRID_TEMPLATES": templates_fault,
}
