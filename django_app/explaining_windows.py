"""Why a batch closed when it did, what its message waits for, and whose wish counts, as far as rows can tell.

Wishes and policies are read as they are now: nothing notes which of them a window was opened with.
"""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from pgsupervise.partitions.quiet import zone_named
from pgsupervise.partitions.states import BatchState, EventState, Reason

from .models import Batch, Delivery, Event, Preference, Recipient, TenantPreference
from .policies import registry
from .policy_words import window_in_words
from .preferences import levels_of

MOST_FLUSHES = 1000
"""So many of the newest are read: what is explained are the newest events."""


class Known:
    """What is read once for all that is explained."""

    def __init__(self, rows: Sequence[Batch | Event]) -> None:
        whose = {"bucket__in": {row.bucket for row in rows}, "recipient__in": {row.recipient for row in rows}}
        asked = Event.objects.filter(**whose, state=EventState.FILTERED, is_flush=True, reason=Reason.FLUSH)
        names = ("recipient", "policy", "tenant", "key", "occurred_at")
        self._flushed = set(asked.order_by("-id").values_list(*names)[:MOST_FLUSHES]) if rows else set()
        self._people = {one.recipient: one for one in Recipient.objects.filter(**whose)} if rows else {}
        own = Preference.objects.filter(**whose) if rows else ()
        self._own = {(one.recipient, one.tenant, one.policy, one.category): one for one in own}
        tenants = {row.tenant for row in rows} - {""}
        theirs = TenantPreference.objects.filter(tenant__in=tenants) if tenants else ()
        self._theirs = {(one.tenant, one.policy, one.category): one for one in theirs}

    def why_closed(self, batch: Batch) -> str:
        """Return why a batch takes no more events; empty where its window simply ended, or is open."""
        if batch.state == BatchState.OPEN or batch.deliver_at >= batch.closes_at != batch.opened_at:
            return ""
        if (batch.recipient, batch.policy, batch.tenant, batch.key, batch.deliver_at) in self._flushed:
            return f"closed by flush() at {batch.deliver_at.isoformat(' ', 'seconds')}"
        policy = registry.get(batch.policy)
        if policy is not None and policy.flush_at is not None and batch.item_count >= policy.flush_at:
            return f"closed by its event number {batch.item_count}, since flush_at is {policy.flush_at}"
        if batch.closes_at == batch.opened_at and policy is not None:
            alone = {"leading": policy.leading, "quiet": policy.quiet is not None}
            return "".join(f"its event went at once, since the policy has {name}" for name, has in alone.items() if has)
        return "closed before its window's end"

    def window(self, batch: Batch) -> str:
        """Return where a window of this key comes from now: a wish, and at which level, or the policy."""
        policy = registry.get(batch.policy)
        if policy is None:
            return ""
        found = self._wish(batch, "window") if policy.personal_window else None
        return f"by {found[1]}: {found[0]}" if found else f"by the policy: {window_in_words(policy.declared_window)}"

    def muted_by(self, event: Event) -> str:
        """Return which wish mutes an event's policy now; empty where none does."""
        found = self._wish(event, "muted")
        return f"by {found[1]}" if found and found[0] is True else ""

    def waits_for(self, delivery: Delivery) -> str:
        """Return what a waiting message waits for: the recipient's quiet hours end then, or else it is the cap."""
        person = self._people.get(delivery.recipient)
        if person is None or person.quiet_until is None:
            return "the policy's cap"
        zone = zone_named(person.time_zone) or timezone.get_default_timezone()
        is_quiet = delivery.not_before.astimezone(zone).time() == person.quiet_until
        return "the end of the quiet hours" if is_quiet else "the policy's cap"

    def _wish(self, row: Batch | Event, name: str) -> tuple[Any, str] | None:
        """Return the wish that counts now for a row's policy, and whose it is, at which level."""
        policy = registry.get(row.policy)
        category = policy.category if policy else ""
        for tenant, of_policy, of_category in levels_of(row.policy, category, row.tenant):
            found = self._own.get((row.recipient, tenant, of_policy, of_category))
            if found is not None and getattr(found, name) is not None:
                return getattr(found, name), f"the recipient's wish for {_level(tenant, of_policy, of_category)}"
        for tenant, of_policy, of_category in levels_of(row.policy, category, row.tenant):
            prescribed = self._theirs.get((tenant, of_policy, of_category)) if tenant else None
            if prescribed is not None and getattr(prescribed, name) is not None:
                return getattr(prescribed, name), f"the tenant's wish for {_level('', of_policy, of_category)}"
        return None


def _level(tenant: str, policy: str, category: str) -> str:
    what = f"policy {policy}" if policy else f"category {category}" if category else "everything"
    return f"{what} of tenant {tenant}" if tenant else what
