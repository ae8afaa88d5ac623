"""What would be sent of a batch if its time came now: rendered from its real events as its owner would, not sent."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import Sum, TextField
from django.db.models.functions import Cast, Length

from pgsupervise.partitions import persons
from pgsupervise.partitions.batches import MOST_BYTES_A_BATCH, deliveries_of
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import DueBatch, Item, NewDelivery, Rendering, Withheld
from pgsupervise.partitions.states import BatchState, EventState
from pgsupervise.partitions.suppressions import ask_for_suppressed
from pgsupervise.supervisor.sealing import in_words, rendering_of
from pgsupervise.supervisor.suppressing import keys_in, withholding

from . import preferences_sealing
from .bulk import write_connection
from .composition import assemble
from .models import Batch, Event
from .policies import registered
from .texts import one_line


class Preview(NamedTuple):
    """A batch that is not sealed, and its messages; none where it has nothing to tell, or where it failed."""

    batch: Batch
    items: int
    messages: Sequence[NewDelivery]
    error: str = ""
    """What rendering it raised: its owner would fail the same way."""
    withheld: str = ""
    """Why nothing would be sent."""

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can say."""
        names = ("policy", "recipient", "tenant", "key", "state", "opened_at", "closes_at", "deliver_at")
        return {
            "batch": self.batch.pk,
            **{name: getattr(self.batch, name) for name in names},
            "items": self.items,
            "error": self.error,
            "withheld": self.withheld,
            "messages": [
                {"channel": message.channel, "in_reserve": message.is_standby, "payload": message.payload}
                for message in self.messages
            ],
        }


class SealedError(ValueError):
    """The batch is sealed: what was sent is in its deliveries, and nothing else would be."""


def preview(batch: Batch) -> Preview:
    """Render a batch as its owner would now. A template may run the project's code; nothing is written or sent.

    Raises SealedError for a batch that is sealed.
    """
    if batch.state == BatchState.SEALED:
        raise SealedError(f"batch {batch.pk} is sealed: its deliveries have what was sent")
    due = None
    try:
        due = _due(batch)
        rendered = _unless_suppressed(
            due, rendering_of(due, preferences_sealing.render, registered(batch.policy).minimum)
        )
        withheld = str(rendered.reason) if isinstance(rendered, Withheld) else ""
        return Preview(batch, len(due.item_ids), deliveries_of(rendered), withheld=withheld)
    except Exception as error:  # whatever a template raises is what the preview is for
        return Preview(batch, len(due.item_ids) if due else 0, [], one_line(in_words(error)))


def unsealed_of(recipient: str) -> list[Batch]:
    """Return a recipient's batches that are not sealed, in the order in which they will be."""
    batches = Batch.objects.filter(bucket=bucket_of(recipient), recipient=recipient)
    return list(batches.exclude(state=BatchState.SEALED).order_by("deliver_at", "id"))


def _due(batch: Batch) -> DueBatch:
    rows = Event.objects.filter(bucket=batch.bucket, batch=batch, state=EventState.FOLDED)
    size = rows.aggregate(size=Sum(Length(Cast("data", TextField()))))["size"] or 0
    if size > MOST_BYTES_A_BATCH:
        raise ValueError(f"items of {size} characters, and a batch may have {MOST_BYTES_A_BATCH}")
    columns = ("id", "occurred_at", "policy", "actor", "object", "data")
    items = tuple(Item(*row) for row in rows.order_by("occurred_at", "id").values_list(*columns))
    tenants = [batch.tenant] if batch.tenant else []
    people = persons.ask_for_persons(_connection(), batch.bucket, [batch.recipient], tenants)()
    whose = (batch.recipient, batch.tenant, batch.key)
    times = (batch.opened_at, batch.closes_at, batch.deliver_at)
    ids = [item.id for item in items]
    return DueBatch(batch.pk, batch.bucket, batch.policy, *whose, *times, ids, items, people.get(batch.recipient))


def _unless_suppressed(due: DueBatch, rendered: Rendering) -> Rendering:
    project = assemble()
    keys = keys_in(project, [(due, rendered)])
    ((_, left),) = withholding(project, ask_for_suppressed(_connection(), keys)(), [(due, rendered)])
    return left


def _connection() -> Connection:
    connection = write_connection(Event)
    connection.ensure_connection()
    raw: Connection = connection.connection
    return raw
