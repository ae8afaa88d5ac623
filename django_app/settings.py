"""The project's settings.

The `PGSUPERVISE` setting is read here and nowhere else:

    PGSUPERVISE = {"SENDGRID_API_KEY": ..., "FROM_EMAIL": "Example <hello@example.com>"}
"""

import difflib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from . import channel_settings
from .addresses import AddressError, checked_address
from .channel_limits import shape_fault
from .texts import check_text, shorten

KEY_VARIABLE = "SENDGRID_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the project has set, with the defaults of the rest."""

    sendgrid_api_key: str = field(default="", repr=False)
    """From the environment variable SENDGRID_API_KEY where the setting is missing or empty."""
    sendgrid_host: str = "https://api.sendgrid.com"
    sendgrid_timeout: float = 10.0
    """Seconds."""
    from_email: str = ""
    """The sender of every message; DEFAULT_FROM_EMAIL where the setting is missing or empty."""
    recipient_of_user: str = ""
    """Dotted name of a function that returns which recipient a user is; the user's `email` where it is empty."""
    preferences_link_days: float = 90.0
    """How long a link to a recipient's preferences page is good."""
    channel_limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What a channel may be asked for, see `channel_limits`."""
    most_copies: int = 3
    """A message of unknown fate goes out at most so often in all."""
    most_per_hour: int = 100
    """Messages that one recipient gets within an hour at most, the inbox aside; 0 for no limit."""
    sendgrid_webhook_keys: str | Sequence[str] = field(default=(), repr=False)
    """The verification keys of SendGrid's signed Event Webhook: one, or several while they are exchanged."""
    sendgrid_webhook_freshness: float = 90_000.0
    """Seconds that a signed request is good: SendGrid repeats one for up to 24 hours ("Troubleshooting the Event
    Webhook" on docs.sendgrid.com), and does not say whether it then signs anew. What is told twice is known by its id,
    so little is gained by less.
    """
    unknown_grace: float = 900.0
    """Seconds in which a provider may tell of a message of unknown fate. Its events come within seconds; a request that
    met a server at its restart is repeated within minutes.
    """
    installation: str = ""
    """Tells installations apart that share an account at SendGrid and a SECRET_KEY."""
    base_url: str = ""
    """Where the project's URLs are reached, for the links in mail; without it there are none."""
    unsubscribe_mailto: str = ""
    """An address beside the link, for mail programs that unsubscribe by mail."""
    email_backend: str = ""
    """Of the channel "email"; EMAIL_BACKEND where the setting is missing or empty."""
    email_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What that backend's class takes: host, port, username, password, api_key, ..."""
    email_timeout: float = 10.0
    """Seconds, for each operation."""
    webhook_endpoints: Mapping[str, Mapping[str, Any]] | str = field(default_factory=dict, repr=False)
    """Endpoints by address, or the dotted name of a function from an address to its `Endpoint`."""
    webhook_timeout: float = 10.0
    """Seconds, of the channels "webhook" and "slack"."""
    webhook_allowed_networks: Sequence[str] = ()
    """Networks that these channels may reach although they are not public."""
    slack_webhooks: Mapping[str, str] | str = field(default_factory=dict, repr=False)
    """Incoming webhooks by address, or the dotted name of a function from an address to its URL."""
    sendgrid_templates: Mapping[str, str] = field(default_factory=dict)
    """Dynamic templates by policy, "*" for every other one, of the channel "sendgrid-template"."""

    @property
    def webhook_keys(self) -> Sequence[str]:
        """The verification keys, however they were given."""
        keys = self.sendgrid_webhook_keys
        return [keys] if isinstance(keys, str) and keys else list(keys)


def read() -> Settings:
    """Return the settings as they are now. Call `problems` first: nothing is checked here."""
    return _read(())


def sound() -> Settings:
    """Return the settings as if those that have a fault had not been given: for what else is to be checked."""
    return _read(faults())


def problems() -> list[str]:
    """Return every fault of the setting, one line each, naming the value (never the key) and the cure."""
    return list(faults().values())


def faults() -> dict[str, str]:
    """Return the faults by the key that has it."""
    raw = getattr(settings, "PGSUPERVISE", {})
    if not isinstance(raw, Mapping):
        return {"": f"PGSUPERVISE is {shorten(raw)}: it must be a dict"}
    found = {str(name): _unknown(name) for name in raw if name not in _CHECKS}
    for name, check in _CHECKS.items():
        # None is what os.environ.get() gives for a variable that is not set: the same as no setting.
        if raw.get(name) is not None and (fault := check(raw[name])):
            found[name] = f"PGSUPERVISE[{name!r}] {fault}"
    if not raw.get(KEY_VARIABLE) and (fault := _key_fault(os.environ.get(KEY_VARIABLE, ""))):
        found[KEY_VARIABLE] = f"the environment variable {KEY_VARIABLE} {fault}"
    return found


def _read(faulty: Collection[str]) -> Settings:
    names = _CHECKS.keys() - faulty if faulty else _CHECKS
    given = {name.lower(): value for name, value in _given().items() if name in names and value is not None}
    by_variable = os.environ.get(KEY_VARIABLE, "") if KEY_VARIABLE in names else ""
    given["sendgrid_api_key"] = (given.get("sendgrid_api_key") or by_variable).strip()
    given["from_email"] = given.get("from_email") or settings.DEFAULT_FROM_EMAIL
    return Settings(**given)


def _given() -> Mapping[str, Any]:
    raw = getattr(settings, "PGSUPERVISE", {})
    return raw if isinstance(raw, Mapping) else {}


def _unknown(name: object) -> str:
    near = difflib.get_close_matches(str(name).upper(), _CHECKS, n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_CHECKS)}"
    return f"PGSUPERVISE has the unknown key {shorten(name)}: {meant}"


def _key_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return f"is of type {type(value).__name__}: it must be a str"
    key = value.strip()  # a secret that is mounted as a file often ends in a newline
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        return "has characters that no key has: copy it again"
    return None


def _host_fault(value: object) -> str | None:
    cure = "it must be a URL such as https://api.sendgrid.com"
    if not isinstance(value, str):
        return f"is {shorten(value)}: {cure}"
    url = urlsplit(value)
    return None if url.scheme in ("https", "http") and url.hostname else f"is {shorten(value)}: {cure}"


def _timeout_fault(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 600:
        return None
    return f"is {shorten(value)}: it must be a number of seconds, more than 0 and at most 600"


def _from_fault(value: object) -> str | None:
    try:
        check_text(value, "it", 320)
    except (TypeError, ValueError) as error:
        return f"is no address: {error}"
    try:
        if value:
            checked_address(value)
    except AddressError as error:
        return f"is {shorten(value)}: it must be an address such as 'Example <hello@example.com>' ({error})"
    return None


def _base_fault(value: object) -> str | None:
    cure = "it must be a URL such as https://shop.example, by https, as RFC 8058 demands"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or set(value) & set(' <>,"'):
        return f"is {shorten(value)}: {cure}"
    try:
        url = urlsplit(value)
        is_good = url.scheme == "https" and bool(url.hostname) and not (url.query or url.fragment)
    except ValueError:
        is_good = False
    return None if is_good or not value else f"is {shorten(value)}: {cure}"


def _mailto_fault(value: object) -> str | None:
    try:
        if value != "" and checked_address(value) != value:
            return f"is {shorten(value)}: it must be a bare address in lower case, such as unsubscribe@shop.example"
    except AddressError as error:
        return f"is no address: {error}"
    return None


def _function_fault(value: object) -> str | None:
    cure = 'it must be the dotted name of a function, such as "shop.users.recipient_of"'
    if not isinstance(value, str):
        return f"is {shorten(value)}: {cure}"
    try:
        found = import_string(value) if value else callable
    except ImportError as error:
        return f"is {shorten(value)}, which does not import ({error}): {cure}"
    return None if callable(found) else f"is {shorten(value)}, which is no function: {cure}"


def _days_fault(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 3660:
        return None
    return f"is {shorten(value)}: it must be a number of days, more than 0 and at most 3660"


def _webhook_keys_fault(value: object) -> str | None:
    from .sendgrid_signature import public_key  # cryptography takes a while to import

    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) for key in keys):
        return f"is of type {type(value).__name__}: it must be a verification key, or a list of them"
    for number, key in enumerate(keys, 1):
        try:
            public_key(key)
        except ValueError as error:
            return f"has a fault in key {number} of {len(keys)}: {error}"
    return None


def _freshness_fault(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 60 <= value <= 172_800:
        return None
    return f"is {shorten(value)}: it must be a number of seconds, from 60 to 172800 (two days)"


def _grace_fault(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 259_200:
        return None
    return f"is {shorten(value)}: it must be a number of seconds, from 1 to 259200 (three days)"


def _installation_fault(value: object) -> str | None:
    try:
        check_text(value, "it", 100)
    except (TypeError, ValueError) as error:
        return f"is no name: {error}"
    return None


def _copies_fault(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 12:
        return None
    return f"is {shorten(value)}: it must be an int from 1, which sends nothing twice, to 12"


def _hour_fault(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10_000:
        return None
    return f"is {shorten(value)}: it must be an int from 1 to 10000, or 0 for no limit"


_CHECKS: dict[str, Callable[[object], str | None]] = {
    "SENDGRID_API_KEY": _key_fault,
    "SENDGRID_HOST": _host_fault,
    "SENDGRID_TIMEOUT": _timeout_fault,
    "FROM_EMAIL": _from_fault,
    "RECIPIENT_OF_USER": _function_fault,
    "PREFERENCES_LINK_DAYS": _days_fault,
    "SENDGRID_WEBHOOK_KEYS": _webhook_keys_fault,
    "SENDGRID_WEBHOOK_FRESHNESS": _freshness_fault,
    "UNKNOWN_GRACE": _grace_fault,
    "INSTALLATION": _installation_fault,
    "BASE_URL": _base_fault,
    "UNSUBSCRIBE_MAILTO": _mailto_fault,
    **channel_settings.CHECKS,
    "CHANNEL_LIMITS": shape_fault,
    "MOST_COPIES": _copies_fault,
    "MOST_PER_HOUR": _hour_fault,
}
