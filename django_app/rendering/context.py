"""What the templates of a digest see."""

from collections.abc import Sequence
from typing import Any

from pgsupervise.django_app.retain import Retain
from pgsupervise.partitions.rows import DueBatch, Item

from .names import actors_of, summary


def context_of(batch: DueBatch, retain: Retain | None = None) -> dict[str, Any]:
    """Return what templates see of a batch with items, under every name by which it is known.

    `items` are those that are shown; all else is about all items. The words are in the language that is active.
    """
    everything = batch.items
    shown = retain.of(everything) if retain else everything
    total, omitted = len(everything), len(everything) - len(shown)
    from_the_start = retain is None or retain.last is None
    actors = actors_of(everything)
    objects = {item.object for item in everything}
    person = batch.person
    context = {
        "items": shown,
        "item": everything[0] if total == 1 else None,
        "by_policy": _by_policy(shown),
        "count": total,
        "total": total,
        "omitted": omitted,
        "omitted_before": 0 if from_the_start else omitted,
        "omitted_after": omitted if from_the_start else 0,
        "actors": actors,
        "actor_count": len(actors),
        "actor_summary": summary(actors),
        "first_at": everything[0].occurred_at,
        "last_at": everything[-1].occurred_at,
        "recipient": batch.recipient,
        "tenant": batch.tenant,
        "properties": person.properties if person else {},
        "policy": batch.policy,
        "key": batch.key,
        "object": objects.pop() if len(objects) == 1 else "",
    }
    return {**context, **_batched_names(shown, total)}


def _by_policy(items: Sequence[Item]) -> list[tuple[str, list[Item]]]:
    """Group the items of a digest of several policies: `regroup` would need them sorted by policy, not by time."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.policy, []).append(item)
    return list(groups.items())


def _batched_names(shown: Sequence[Item], total: int) -> dict[str, Any]:
    names = {"batched_events": shown, "batched_event_count": total, "batched_events_count": total}
    # Django's templates cannot say {{ $batched_events }}; code that reads the context can.
    return {**names, **{f"${name}": value for name, value in names.items()}}
