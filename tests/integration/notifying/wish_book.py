"""What recipients and tenants have wished so far, and which of it counts, by the table of README."""

from collections.abc import Mapping, Sequence
from typing import Any

from pgsupervise.django_app.preferences import set_preference, set_recipient, set_tenant_preference

from .kinds import BOTH, CATEGORY, HOSTS
from .model import Whose

Level = tuple[str, str, str]
"""(tenant, policy, category)"""


class WishBook:
    """Stores wishes by the API and remembers them."""

    def __init__(self) -> None:
        self._own: dict[str, dict[Level, dict[str, Any]]] = {}
        self._tenants: dict[Level, dict[str, Any]] = {}
        self._people: dict[str, dict[str, Any]] = {}

    def wish(self, recipient: str, tenant: str, policy: str, category: str, wish: Any, stored: Any) -> None:
        """Store a wish of a recipient, or of a tenant where there is no recipient; `stored` is what it becomes."""
        level = (tenant, policy, category)
        if recipient:
            set_preference(recipient, tenant=tenant, policy=policy, category=category, **wish)
            self._own.setdefault(recipient, {}).setdefault(level, {}).update(stored)
        else:
            set_tenant_preference(tenant, policy=policy, category=category, **wish)
            self._tenants.setdefault(level, {}).update(stored)

    def introduce(self, recipient: str, **person: Any) -> None:
        """Store what a recipient is like."""
        set_recipient(recipient, **person)
        self._people.setdefault(recipient, {}).update(person)

    def whose(self, policy: str, recipient: str, tenant: str) -> Whose:
        """Return what decides about the window of an event."""
        person = self._people.get(recipient, {})
        window = self._wished("window", HOSTS.get(policy, policy), recipient, tenant)
        return Whose(person.get("time_zone", ""), person.get("properties", {}).get("every"), window)

    def is_muted(self, policy: str, recipient: str, tenant: str) -> bool:
        """Return whether a policy's digests, or its items in those of another one, are not wished."""
        return bool(self._wished("muted", policy, recipient, tenant))

    def channels(self, policy: str, recipient: str, tenant: str) -> Sequence[str]:
        """Return the channels by which the digests of a host are wished."""
        chosen = self._wished("channels", policy, recipient, tenant)
        return BOTH if chosen is None else [name for name in BOTH if name in chosen]

    def is_quiet(self, recipient: str) -> bool:
        """Return whether a recipient has quiet hours."""
        return self._people.get(recipient, {}).get("quiet_from") is not None

    def has_own(self, recipient: str) -> bool:
        """Return whether a recipient has wishes or quiet hours itself: only then it is asked for once more."""
        return recipient in self._own or self.is_quiet(recipient)

    def _wished(self, what: str, policy: str, recipient: str, tenant: str) -> Any:
        category = CATEGORY.get(policy, "")
        general = [("", policy, ""), ("", "", category), ("", "", "")]
        of_tenant = [(tenant, policy, ""), (tenant, "", category), (tenant, "", "")]
        own = self._own.get(recipient, {})
        prescribed: Mapping[Level, dict[str, Any]] = self._tenants if tenant else {}
        for stored, levels in ((own, of_tenant + general), (prescribed, of_tenant)):
            for level in levels:
                if stored.get(level, {}).get(what) is not None:
                    return stored[level][what]
        return None
