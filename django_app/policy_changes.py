"""A changed policy and the batches that are open: what the window would be as it is declared now, and what to do.

A batch keeps the window that it was opened with, and whether later events move its end. So nothing happens by itself
when a policy's window is changed and deployed. `policy_changes()` shows which open batches differ, and `apply` asks
their owners to keep, recompute or flush them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from django.db.models import TextField
from django.db.models.functions import Cast

from pgsupervise.partitions import persons
from pgsupervise.partitions.rows import PendingEvent, Person
from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import BatchState
from pgsupervise.partitions.windows import Slide, WindowRule
from pgsupervise.supervisor.project import PolicySpec

from .bulk import write_connection
from .composition import policy_specs
from .models import Batch, Event

CHUNK = 1000


class Answer(StrEnum):
    """What is to become of open batches whose policy has changed."""

    KEEP = "keep"
    """They end when they would have."""
    RECOMPUTE = "recompute"
    """They get the end that the declared window gives; one for which that is past, or lies before an event that it
    has already, is closed now with what it has."""
    FLUSH = "flush"
    """They are closed now."""


class Change(NamedTuple):
    """An open batch and the end that it would have if it had been opened by the policy as it is declared now."""

    batch: Batch
    opens_until: datetime
    """The declared end by its first event alone."""
    declared: datetime
    """With the later events of a sliding window."""


def policy_changes(policies: Sequence[str] | None = None) -> Iterator[Change]:
    """Yield the open batches whose end, or what moves it, is not what their policy declares now.

    Of these policies, or of all known ones.

    They are read by bucket, in a transaction or not; workers go on meanwhile.
    """
    specs = {name: spec for name, spec in policy_specs().items() if policies is None or name in policies}
    rows = Batch.objects.exclude(state=BatchState.SEALED).filter(state=BatchState.OPEN, policy__in=list(specs))
    for _, of_bucket in groupby(rows.order_by("bucket", "deliver_at", "id").iterator(CHUNK), lambda row: row.bucket):
        yield from _changes(specs, list(of_bucket))


def apply(changes: Iterable[Change], answer: Answer) -> int:
    """Ask the owners to do so with these batches, in the caller's transaction; return how many were asked.

    A batch that has been closed or sealed by then stays as it is, and so does another one that was opened since. An
    owner does it with its next fold.
    """
    if answer is Answer.KEEP:
        return 0
    connection = write_connection(Event)
    with connection.cursor() as cursor:
        cursor.execute(load("read_clock"))
        clock = cursor.fetchone()[0]
    asked = [
        Event(
            policy=batch.policy,
            recipient=batch.recipient,
            tenant=batch.tenant,
            key=batch.key,
            is_flush=True,
            occurred_at=clock,
            data={"batch": batch.pk} | ({"closes_at": opens_until.isoformat()} if answer is Answer.RECOMPUTE else {}),
        )
        for batch, opens_until, _ in changes
    ]
    Event.objects.using(connection.alias).bulk_create(asked, batch_size=CHUNK)
    return len(asked)


def _changes(specs: Mapping[str, PolicySpec], batches: Sequence[Batch]) -> Iterator[Change]:
    known = _persons(specs, batches)
    for batch in batches:
        person, spec = known.get(batch.recipient), specs[batch.policy]
        rule = spec.rule if person is None or spec.personal_rule is None else spec.personal_rule(person, batch.tenant)
        opens_until = rule.opens(_opener(batch, rule), person)
        slide = rule.slide(batch.opened_at)
        declared = slide.extends(batch.last_at or batch.opened_at, opens_until)
        if declared != batch.closes_at or _slides_otherwise(batch, slide):
            yield Change(batch, opens_until, declared)


def _slides_otherwise(batch: Batch, slide: Slide) -> bool:
    """Return whether later events move the batch's end otherwise than they would by this."""
    if batch.slides_by is None:  # opened before that was kept: it is moved as declared now
        return False
    return batch.slides_by != slide.by or (bool(slide.by) and batch.slides_until != slide.until)


def _persons(specs: Mapping[str, PolicySpec], batches: Sequence[Batch]) -> Mapping[str, Person]:
    asking = [batch for batch in batches if specs[batch.policy].personal_rule]
    if not asking:
        return {}
    connection = write_connection(Event)
    connection.ensure_connection()
    recipients = list({batch.recipient for batch in asking})
    tenants = list({batch.tenant for batch in asking if batch.tenant})
    return persons.ask_for_persons(connection.connection, asking[0].bucket, recipients, tenants)()


def _opener(batch: Batch, rule: WindowRule) -> PendingEvent:
    """Return the event that has opened the batch; a window that asks no more has enough with when that was."""
    found = _first_event(batch) if rule.end is not None else None
    event_id, policy, data_json = found or (0, batch.policy, None)
    whose = (batch.recipient, batch.tenant, batch.key)
    return PendingEvent(event_id, policy, *whose, batch.opened_at, "event", data_json)


def _first_event(batch: Batch) -> tuple[int, str, str] | None:
    # Of a leading window the first event is in a batch of its own, with the same beginning.
    same = Batch.objects.filter(
        bucket=batch.bucket, recipient=batch.recipient, policy=batch.policy, tenant=batch.tenant, key=batch.key,
        opened_at=batch.opened_at, id__lte=batch.pk,
    )  # fmt: skip
    events = Event.objects.filter(bucket=batch.bucket, batch__in=same, occurred_at=batch.opened_at).order_by("id")
    return events.values_list("id", "policy", Cast("data", TextField())).first()
