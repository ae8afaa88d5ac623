"""What recipients and tenants wish of the policies: which wish counts, and how a project stores them.

The most specific wish wins, for each of muted, channels and window by itself: the recipient's for the tenant and the
policy, for the tenant and the policy's category, for the tenant; then its own for the policy, for the category, in
general; then what the tenant prescribes for the policy, for the category, in general; then the policy as declared.

    set_preference("ann@example.com", policy="comments", muted=True)
    set_recipient("ann@example.com", time_zone="Europe/Rome", quiet_from=time(22), quiet_until=time(7))
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import time, timedelta
from typing import Any, NamedTuple

from django.db.models import Model

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.rows import Person
from pgsupervise.partitions.rows import Preference as Wish

from . import preferences_checks as checks
from .models import Preference, Recipient, TenantPreference
from .policies import registry
from .preferences_checks import UNCHANGED, Unchanged

Level = tuple[str, str, str]
"""(tenant, policy, category), each empty where a wish is for all."""


class Wishes(NamedTuple):
    """What counts for a policy's digests to one recipient.

    `channels` are those of the policy's that are wished: none of them is as good as muted; None where the policy is
    not registered and nobody wishes any. `window` is what `personal_windows` reads, or None for the declared one;
    whoever reads it must expect any JSON, for rows are written by raw SQL too.
    """

    muted: bool
    channels: tuple[str, ...] | None
    window: Mapping[str, Any] | None


def wishes_of(person: Person | None, policy_name: str, category: str = "", tenant: str = "") -> Wishes:
    """Return what counts for a recipient; `person` is what is stored about it, None where nothing is.

    A `required` policy is never muted, and a wish that leaves it no channel does not count.
    """
    policy = registry.get(policy_name)
    declared = policy.channels if policy else None
    if person is None:
        return Wishes(False, declared, None)
    wishes = list(_in_order(person, policy_name, category, tenant))
    muted = next((wish.muted for wish in wishes if isinstance(wish.muted, bool)), False)
    wished = next((wish.channels for wish in wishes if isinstance(wish.channels, list | tuple)), None)
    window = next((wish.window for wish in wishes if wish.window is not None), None)
    if wished is None:
        channels = declared
    elif declared is None:
        channels = tuple(wished)
    else:
        channels = tuple(name for name in declared if name in wished)
    if policy is not None and policy.required:
        muted, channels = False, channels or declared
    return Wishes(muted, channels, window)


def resolved_window(person: Person, policy: str, category: str, tenant: str) -> Mapping[str, Any] | None:
    """Return the window that is wished for a policy's digests of a tenant; None where nothing is."""
    return wishes_of(person, policy, category, tenant).window


def levels_of(policy: str, category: str, tenant: str) -> list[Level]:
    """Return the levels at which a wish may stand that concerns a policy, the most specific one first."""
    levels = [(tenant, policy, ""), (tenant, "", category), (tenant, "", ""), ("", policy, ""), ("", "", category)]
    return list(dict.fromkeys([*levels, ("", "", "")]))


def set_preference(
    recipient: str,
    *,
    policy: str = "",
    category: str = "",
    tenant: str = "",
    muted: bool | Unchanged | None = UNCHANGED,
    channels: Sequence[str] | Unchanged | None = UNCHANGED,
    window: timedelta | Mapping[str, Any] | str | Unchanged | None = UNCHANGED,
) -> None:
    """Store what a recipient wishes: in general, or for a policy or a category, and for a tenant where one is given.

    What is not given stays as it is, and None says nothing at this level. `channels` are names, an empty list none at
    all; `window` is a timedelta or a cron rule. Raises PolicyError for an unknown policy, TypeError or ValueError for
    other values, with the cure. One statement: whoever writes at the same time, no wish is lost.
    """
    checks.check_recipient(recipient)
    given = _checked_wish(policy, category, tenant, muted, channels, window)
    key = {"recipient": recipient, "tenant": tenant, "policy": policy, "category": category}
    _upsert(Preference(bucket=bucket_of(recipient), **key, **given), ("bucket", *key), given)


def set_tenant_preference(
    tenant: str,
    *,
    policy: str = "",
    category: str = "",
    muted: bool | Unchanged | None = UNCHANGED,
    channels: Sequence[str] | Unchanged | None = UNCHANGED,
    window: timedelta | Mapping[str, Any] | str | Unchanged | None = UNCHANGED,
) -> None:
    """Store what a tenant prescribes for those of its recipients who have said nothing; as `set_preference`."""
    checks.check_tenant(tenant, required=True)
    given = _checked_wish(policy, category, tenant, muted, channels, window)
    key = {"tenant": tenant, "policy": policy, "category": category}
    _upsert(TenantPreference(**key, **given), tuple(key), given)


def set_recipient(
    recipient: str,
    *,
    time_zone: str | Unchanged = UNCHANGED,
    locale: str | Unchanged = UNCHANGED,
    quiet_from: time | Unchanged | None = UNCHANGED,
    quiet_until: time | Unchanged | None = UNCHANGED,
    properties: dict[str, Any] | Unchanged = UNCHANGED,
) -> None:
    """Store where a recipient lives and when it is quiet; what is not given stays as it is.

    `time_zone` is an IANA name and "" the project's, `locale` such as "pt-br". The quiet hours are given together, as
    times on the recipient's wall clock, or None for none. Raises TypeError or ValueError, with the cure.
    """
    checks.check_recipient(recipient)
    given: dict[str, Any] = {
        "time_zone": time_zone,
        "locale": locale,
        "quiet_from": quiet_from,
        "quiet_until": quiet_until,
        "properties": properties,
    }
    given = {name: value for name, value in given.items() if value is not UNCHANGED}
    checks.check_person(given)
    _upsert(Recipient(bucket=bucket_of(recipient), recipient=recipient, **given), ("bucket", "recipient"), given)


def _in_order(person: Person, policy: str, category: str, tenant: str) -> Iterator[Wish]:
    levels = levels_of(policy, category, tenant)
    own = {(wish.tenant, wish.policy, wish.category): wish for wish in person.preferences}
    prescribed = {(wish.tenant, wish.policy, wish.category): wish for wish in person.tenant_preferences if wish.tenant}
    for stored in (own, prescribed):
        for level in levels:
            if level in stored:
                yield stored[level]


def store_wish(recipient: str, *, policy: str = "", category: str = "", tenant: str = "", muted: bool | None) -> None:
    """Store whether a recipient has muted something, also a policy or a category that this code does not know."""
    key = {"recipient": recipient, "tenant": tenant, "policy": policy, "category": category}
    given = {"muted": muted}
    _upsert(Preference(bucket=bucket_of(recipient), **key, **given), ("bucket", *key), given)


def _checked_wish(policy: str, category: str, tenant: str, muted: Any, channels: Any, window: Any) -> dict[str, Any]:
    checks.check_level(policy, category, tenant)
    given: dict[str, Any] = {}
    if muted is not UNCHANGED:
        given["muted"] = checks.checked_muted(muted, policy)
    if channels is not UNCHANGED:
        given["channels"] = checks.checked_channels(channels, policy)
    if window is not UNCHANGED:
        given["window"] = checks.checked_window(window, policy)
    return given


def _upsert(row: Model, key: Sequence[str], given: Mapping[str, Any]) -> None:
    """Insert a row, or change the given columns of the one that is there, in one statement."""
    row._meta.model._default_manager.bulk_create(
        [row], update_conflicts=True, unique_fields=key, update_fields=[*given, "updated_at"]
    )
