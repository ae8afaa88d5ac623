"""What a digest waits for once it is sealed: the end of its recipient's quiet hours, and its policy's frequency cap."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from pgsupervise.partitions import deliveries
from pgsupervise.partitions.batches import deliveries_of
from pgsupervise.partitions.caps import Cap
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.quiet import deliverable_at
from pgsupervise.partitions.rows import DueBatch, NewDelivery, Person, Reduced, Rendering

from .project import Project

Rendered = tuple[DueBatch, Rendering]


def with_waits(
    project: Project, connection: Connection, bucket: int, clock: datetime, rendered: Sequence[Rendered]
) -> list[Rendered]:
    """Return the same messages, each with the time before which it is not to be sent.

    The times are the event clock's. Only where a policy has a cap is anything read.
    """
    caps = {name: spec.cap for name, spec in project.policies.items() if spec.cap is not None}
    capped = {
        (batch.policy, batch.recipient): None
        for batch, rendering in rendered
        if batch.policy in caps and deliveries_of(rendering)
    }
    past: dict[tuple[str, str], list[datetime]] = {}
    if capped:
        past = deliveries.past_digests(connection, bucket, capped, most_of(project, caps.values()))
    result = []
    for batch, rendering in rendered:
        if not deliveries_of(rendering):
            result.append((batch, rendering))
            continue
        key = (batch.policy, batch.recipient)
        at = allowed_at(clock, batch.person, project.time_zone, caps.get(batch.policy), past.get(key, ()))
        if batch.policy in caps:
            past.setdefault(key, []).append(at)
        result.append((batch, _waiting(rendering, at) if at > clock else rendering))
    return result


def allowed_at(
    at: datetime, person: Person | None, default_zone: str, cap: Cap | None, past: Sequence[datetime]
) -> datetime:
    """Return when a digest may go that would at `at`, after those of `past`: by the cap, and by its recipient's day."""
    if cap is not None:
        at = cap.allowed_at(at, past)
    # Last: what waits longer for the night to end is still below its cap.
    return at if person is None else deliverable_at(at, person, default_zone)


def most_of(project: Project, caps: Iterable[Cap]) -> int:
    """Return how many deliveries have to be known for these caps: a digest may have one by each channel."""
    return max(cap.count for cap in caps) * max(1, len(project.channels))


def _waiting(rendering: Rendering, until: datetime) -> Rendering:
    waiting: list[NewDelivery] = [delivery._replace(not_before=until) for delivery in deliveries_of(rendering)]
    return replace(rendering, deliveries=waiting) if isinstance(rendering, Reduced) else waiting
