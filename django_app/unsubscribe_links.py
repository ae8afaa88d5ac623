"""Links by which whoever has a mail unsubscribes: signed, good for as long as the digest is kept, and opaque.

A token names the digest's batch and a level, and nothing of the recipient: a mail that is forwarded, or a log that has
the link, tells nobody who it was for. It has no time of its own to expire (RFC 8058 asks that the link work, CAN-SPAM
that it do for 30 days), and outlives a new SECRET_KEY for as long as the old one is among SECRET_KEY_FALLBACKS.
"""

from enum import StrEnum
from typing import NamedTuple

from django.core import signing

from .own_paths import own_path

SALT = "pgsupervise.unsubscribe"


class Level(StrEnum):
    """What is unsubscribed from: the digest's policy, all of that policy's category, or everything."""

    POLICY = "policy"
    CATEGORY = "category"
    ALL = "all"


class Target(NamedTuple):
    """What a token says."""

    bucket: int
    batch_id: int
    level: Level


def token_of(bucket: int, batch_id: int, level: Level = Level.POLICY) -> str:
    """Return the token of a batch; the same each time, for what was rendered once is sent as it is."""
    return signing.Signer(salt=SALT).sign_object([bucket, batch_id, level.value])


def target_of(token: str) -> Target:
    """Return what a token says. Raises BadSignature for one that was never ours."""
    try:
        bucket, batch_id, level = signing.Signer(salt=SALT).unsign_object(token)
        return Target(int(bucket), int(batch_id), Level(level))
    except (ValueError, TypeError, UnicodeError) as error:
        raise signing.BadSignature("it names no digest") from error


def unsubscribe_path(token: str) -> str:
    """Return the path of the link of a token.

    Raises NoReverseMatch where the project's URLs do not include pgsupervise.django_app.preference_urls.
    """
    return own_path("unsubscribe", token)
