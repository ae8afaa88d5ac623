"""What becomes of a batch by its recipient's wishes: at the seal, and once more just before it is sent."""

from collections.abc import Sequence
from dataclasses import replace

from pgsupervise.partitions.rows import Doubt, DueBatch, Person, Reduced, Rendering, Withheld
from pgsupervise.partitions.states import Reason

from . import rendering
from .policies import registered, registry
from .preferences import wishes_of


def render(batch: DueBatch) -> Rendering:
    """Return a batch's messages, one by each channel that is wished, or why there are none.

    In a digest of several policies the items of those that are muted are left out, the digest's own too; its own
    channels are those of all. Raises what `rendering.render` raises.
    """
    policy = registered(batch.policy)
    if not batch.item_ids:
        return Withheld(Reason.EMPTY)
    if batch.person is None:
        return rendering.render(batch, policy.channels)
    wishes = wishes_of(batch.person, policy.name, policy.category, batch.tenant)
    if not wishes.channels or (wishes.muted and not batch.items):  # of a policy that nobody reads there are none
        return Withheld(Reason.MUTED)
    left_out = _muted_items(batch, batch.person)
    if not left_out:
        return rendering.render(batch, wishes.channels)
    items = tuple(item for item in batch.items if item.id not in left_out)
    if not items:
        return Withheld(Reason.MUTED)
    rest = replace(batch, items=items, item_ids=[item.id for item in items])
    return Reduced(rendering.render(rest, wishes.channels), left_out, Reason.MUTED)


def objection(doubt: Doubt) -> str:
    """Return why a sealed delivery is no longer wished; empty where it is.

    What it says is frozen: it goes as long as one of its items is neither read nor of a policy that is muted. A channel
    that the policy has given up since is nobody's wish: what was sealed for it is sent.
    """
    name, channel = doubt.delivery.policy, doubt.delivery.channel
    if all(_is_muted(doubt.person, told, doubt.tenant) for told in doubt.policies or (name,)):
        return Reason.MUTED
    policy = registry.get(name)
    wishes = wishes_of(doubt.person, name, policy.category if policy else "", doubt.tenant)
    declared: Sequence[str] = policy.channels if policy else (channel,)
    if wishes.channels is not None and channel in declared and channel not in wishes.channels:
        return f"no longer wished by {channel}"
    if wishes.channels == () and policy is not None and channel in policy.fallbacks:
        return "no longer wished by any channel"
    return ""


def _muted_items(batch: DueBatch, person: Person) -> set[int]:
    muted = {name for name in {item.policy for item in batch.items} if _is_muted(person, name, batch.tenant)}
    return {item.id for item in batch.items if item.policy in muted} if muted else set()


def _is_muted(person: Person | None, name: str, tenant: str) -> bool:
    """Return whether a policy is muted; one that this code does not know only where it is named, or all are."""
    policy = registry.get(name)
    return wishes_of(person, name, policy.category if policy else "", tenant).muted
