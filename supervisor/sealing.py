"""Sealing the due batches of one bucket: each becomes what is to be sent of it, or the reason why nothing is."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import psycopg

from pgsupervise.metrics import recorder
from pgsupervise.partitions import batches
from pgsupervise.partitions.batches import deliveries_of, filtered_of
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.rows import DueBatch, Reduced, Rendering, Withheld
from pgsupervise.partitions.states import Reason

from .judging import storable
from .project import Project
from .suppressing import without_suppressed
from .waiting import Rendered, with_waits
from .yielding import yielding

logger = logging.getLogger(__name__)
RENDER_RETRY = timedelta(seconds=60)
Due = DueBatch | batches.UnreadableBatch


class Tenure(NamedTuple):
    """A bucket under its lease: what each write there names, so that it is dropped once the lease is another's."""

    bucket: int
    owner: UUID
    epoch: int


class Sealing:
    """Seals batches of one bucket under one epoch."""

    def __init__(self, project: Project, connection: Connection, tenure: Tenure, marks: Marks) -> None:
        self._project = project
        self._connection = connection
        self._tenure = tenure
        self._marks = marks
        self._without_call = [name for name, spec in project.channels.items() if not spec.needs_call]
        self.made_deliveries = False
        """Whether something that was sealed is to be sent."""

    def seal(self, due: Sequence[Due], clock: datetime) -> None:
        """Seal what is due at `clock`; what cannot be rendered waits with its error and stops nobody else's digest."""
        rendered, failed = self._render(due)
        rendered = without_suppressed(self._project, self._connection, rendered)
        rendered = with_waits(self._project, self._connection, self._tenure.bucket, clock, rendered)
        try:
            self._write(rendered)
        except (psycopg.DataError, UnicodeError):
            # A payload that PostgreSQL cannot hold, or that is no text, must not keep the others of its chunk: find out
            # whose it is.
            for one in rendered:
                try:
                    self._write([one])
                except (psycopg.DataError, UnicodeError) as error:
                    failed.append(_failed(one[0], error))
        if failed:
            # Where a caller holds one of them all are found due again, when the marks are dropped.
            with suppress(psycopg.errors.LockNotAvailable):
                until = clock + RENDER_RETRY
                batches.postpone_batches(self._connection, **self._tenure._asdict(), errors=failed, until=until)

    def _render(self, due: Sequence[Due]) -> tuple[list[Rendered], list[tuple[int, str]]]:
        rendered: list[Rendered] = []
        failed: list[tuple[int, str]] = []
        for batch in due:
            if isinstance(batch, batches.UnreadableBatch):
                failed.append(_failed(batch, batch.error))
                continue
            if batch.recipient in self._marks.left:
                continue
            try:
                minimum = self._project.policies[batch.policy].minimum
                rendered.append((batch, rendering_of(batch, self._project.render, minimum)))
            except Exception as error:  # a template's fault stops nobody else's digest
                failed.append(_failed(batch, error))
        return rendered, failed

    def _write(self, rendered: Sequence[Rendered]) -> None:
        if sealed := yielding(self._marks, lambda: self._seal_free(rendered)):
            self._count(sealed)

    def _seal_free(self, rendered: Sequence[Rendered]) -> list[Rendered]:
        free = [one for one in rendered if one[0].recipient not in self._marks.left]
        if free:
            batches.seal_batches(
                self._connection, **self._tenure._asdict(), rendered=free, without_call=self._without_call
            )
        return free

    def _count(self, rendered: Sequence[Rendered]) -> None:
        items: dict[str, list[int]] = defaultdict(list)
        withheld: Counter[tuple[str, Reason]] = Counter()
        left_out: Counter[tuple[str, Reason]] = Counter()
        for batch, rendering in rendered:
            filtered = filtered_of(batch, rendering)
            if isinstance(rendering, Withheld):
                withheld[batch.policy, rendering.reason] += 1
            else:
                items[batch.policy].append(len(batch.item_ids) - len(filtered))
            policies = {item.id: item.policy for item in batch.items} if filtered else {}
            left_out.update((policies.get(event, batch.policy), reason) for event, reason in filtered)
        for policy, counts in items.items():
            recorder.batches_sealed(policy, counts)
        for (policy, reason), amount in withheld.items():
            recorder.batches_withheld(policy, reason, amount)
        for (policy, reason), amount in left_out.items():
            recorder.events_left_out(policy, reason, amount)
        self._count_deliveries(rendered)

    def _count_deliveries(self, rendered: Sequence[Rendered]) -> None:
        sent = Counter(
            delivery.channel
            for _, rendering in rendered
            for delivery in deliveries_of(rendering)
            if not delivery.is_standby
        )
        for channel, amount in sent.items():
            if channel in self._without_call:
                recorder.deliveries_accepted(channel, amount)
            else:
                self.made_deliveries = True


def rendering_of(batch: DueBatch, render: Callable[[DueBatch], Rendering], minimum: int) -> Rendering:
    """Return what a batch becomes: its messages, or why there are none. Raises whatever `render` raises."""
    if not batch.item_ids:
        return Withheld(Reason.EMPTY)
    if len(batch.item_ids) < minimum:
        return Withheld(Reason.BELOW_MINIMUM)
    rendering = render(batch)
    if isinstance(rendering, Reduced) and len(batch.item_ids) - len(rendering.left_out) < minimum:
        return Withheld(Reason.BELOW_MINIMUM)
    return rendering if isinstance(rendering, Reduced | Withheld) else list(rendering)


def in_words(error: Exception) -> str:
    """Return what a rendering has raised, and the place that was noted at it."""
    notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    return f"{type(error).__name__}: {error}" + (f" ({'; '.join(notes)})" if notes else "")


def _failed(batch: Due, error: Exception) -> tuple[int, str]:
    reason = storable(in_words(error))
    recorder.render_failed(batch.policy)
    fields = {"batch": batch.id, "policy": batch.policy, "error": reason}
    logger.warning("digest could not be rendered", extra={"fields": fields})
    return batch.id, reason
