"""What a recipient and its tenant wish: which wish counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from pgsupervise.partitions.rows import Person, Preference


def resolved_window(person: Person, policy: str, category: str, tenant: str) -> Mapping[str, Any] | None:
    """Return the window that is wished for a policy's digests of a tenant; None where nothing is.

    A recipient's wish goes before its tenant's; then one for the tenant before one for all; then one for the policy
    before one for its category, and that before one for everything.
    """
    for wishes in (person.preferences, person.tenant_preferences):
        for wanted_tenant in dict.fromkeys((tenant, "")):
            found = _most_special(wishes, wanted_tenant, policy, category)
            if found is not None:
                return found
    return None


def _most_special(wishes: Sequence[Preference], tenant: str, policy: str, category: str) -> Mapping[str, Any] | None:
    of_tenant = {(wish.policy, wish.category): wish.window for wish in wishes if wish.tenant == tenant}
    levels = [(policy, ""), ("", category), ("", "")]
    return next((window for level in levels if (window := of_tenant.get(level)) is not None), None)
