"""Folding and sealing one bucket: everything that is pending there is folded before anything is sealed."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

import psycopg

from pgsupervise.metrics import recorder
from pgsupervise.partitions import batches, events
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.held import HeldError
from pgsupervise.partitions.marks import START, Marks
from pgsupervise.partitions.rows import DueBatch, NewDelivery, Person
from pgsupervise.partitions.windows import WindowRule

from .project import Project
from .senders import storable

logger = logging.getLogger(__name__)
FOLD_CHUNK = 5000
SEAL_CHUNK = 1000
RENDER_RETRY = timedelta(seconds=60)
MOST_TRIES = 5
"""Of one chunk, while callers hold rows of it: each costs the 50 ms of hold_lease.sql."""
T = TypeVar("T")
Rendered = tuple[DueBatch, list[NewDelivery]]
Due = DueBatch | batches.UnreadableBatch


class Flushing:
    """One bucket's turn, under the epoch that it began with; `may_go_on` is asked between two transactions."""

    def __init__(
        self, project: Project, connection: Connection, *, owner: UUID, bucket: int, epoch: int, marks: Marks
    ) -> None:
        self._project = project
        self._connection = connection
        self._bucket, self._owner, self._epoch = bucket, owner, epoch
        self._marks = marks
        self._policies = list(project.policies)
        self._folding = folding_of(project)
        self._bare = [name for name, policy in project.policies.items() if policy.is_bare]
        self._without_call = [name for name, spec in project.channels.items() if not spec.needs_call]
        self._due = False
        self.made_deliveries = False
        """Whether something that was sealed waits to be sent."""

    def run(self, *, due: bool, may_go_on: Callable[[], bool]) -> None:
        """Fold what is new, then seal what is due; `due` says that something already was.

        An owner that was away must make the same digests as one that was not: before anything is sealed, a fold must
        have seen all that was committed by the clock of the seal. One that began behind a mark may have missed an event
        that committed late with an earlier time, and one that took a full chunk has left some: only a fold that began
        at the start and was not full lets the bucket be sealed. Where nothing is due, none is needed.
        """
        self._due = due
        folded = self._fold_new(may_go_on)
        while folded and self._due and not folded.complete:
            reached, self._marks.folded = self._marks.folded, START
            folded = self._fold_new(may_go_on)
            self._marks.folded = max(reached, self._marks.folded)
        while folded and self._due and may_go_on():
            self._due = self._seal_next(folded.clock)

    def _fold_new(self, may_go_on: Callable[[], bool]) -> "_FoldedAll | None":
        """Fold from the mark to the end; None where there was no time for all."""
        while True:
            began = self._marks.folded
            full = self._fold_chunk()
            if full is None or not may_go_on():
                return None
            if not full:
                return _FoldedAll(self._clock, complete=began == START)

    def _yielding(self, write: Callable[[], T]) -> T | None:
        """Return what a write returns; None where it was not to be had.

        What a caller's open transaction holds is neither folded nor sealed as long as these marks are good, nor is
        anything else of the same recipient: its digests must come out as if nobody had been in the way.
        """
        for _ in range(MOST_TRIES):
            try:
                return write()
            except HeldError as held:
                self._marks.left |= held.recipients
        return None

    def _fold_chunk(self) -> bool | None:
        """Return whether there may be more; None where nothing could be folded."""
        new = self._yielding(
            lambda: events.fold_events(
                self._connection,
                bucket=self._bucket,
                owner=self._owner,
                epoch=self._epoch,
                folding=self._folding,
                limit=FOLD_CHUNK,
                after=self._marks.folded,
                left=self._marks.left,
            )
        )
        if new is None:
            return None
        self._clock, self._marks.folded = new.clock, new.reached
        if new.earliest:
            # A late event may have opened a batch whose time came before that of others that are sealed.
            self._marks.sealed = min(self._marks.sealed, (new.earliest, 0))
            self._due = self._due or new.earliest <= new.clock
        for policy, count in Counter(event.policy for event in new.events).items():
            recorder.events_folded(policy, count)
        return new.read == FOLD_CHUNK

    def _seal_next(self, clock: datetime) -> bool:
        due = batches.due_batches(
            self._connection,
            bucket=self._bucket,
            policies=self._policies,
            clock=clock,
            limit=SEAL_CHUNK,
            bare=self._bare,
            after=self._marks.sealed,
        )
        if due:
            self._seal(due, clock + RENDER_RETRY)
            self._marks.sealed = (due[-1].deliver_at, due[-1].id)
        return bool(due)

    def _seal(self, due: Sequence[Due], retry_at: datetime) -> None:
        rendered, failed = self._render(due)
        try:
            self._write(rendered)
        except psycopg.DataError:
            # A payload that PostgreSQL cannot hold must not keep the others of its chunk: find out whose it is.
            for one in rendered:
                try:
                    self._write([one])
                except psycopg.DataError as error:
                    failed.append(_failed(one[0], error))
        if failed:
            # Where a caller holds one of them all are found due again, when the marks are dropped.
            with suppress(psycopg.errors.LockNotAvailable):
                batches.postpone_batches(
                    self._connection,
                    bucket=self._bucket,
                    owner=self._owner,
                    epoch=self._epoch,
                    errors=failed,
                    until=retry_at,
                )

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
                rendered.append((batch, list(self._project.render(batch))))
            except Exception as error:  # a template's fault stops nobody else's digest
                failed.append(_failed(batch, error))
        return rendered, failed

    def _write(self, rendered: list[Rendered]) -> None:
        if sealed := self._yielding(lambda: self._seal_free(rendered)):
            self._count(sealed)

    def _seal_free(self, rendered: list[Rendered]) -> list[Rendered]:
        free = [one for one in rendered if one[0].recipient not in self._marks.left]
        if free:
            batches.seal_batches(
                self._connection,
                bucket=self._bucket,
                owner=self._owner,
                epoch=self._epoch,
                rendered=free,
                without_call=self._without_call,
            )
        return free

    def _count(self, rendered: list[Rendered]) -> None:
        items: dict[str, list[int]] = defaultdict(list)
        for batch, _ in rendered:
            items[batch.policy].append(len(batch.item_ids))
        for policy, counts in items.items():
            recorder.batches_sealed(policy, counts)
        accepted = Counter(delivery.channel for _, deliveries in rendered for delivery in deliveries)
        for channel, amount in accepted.items():
            if channel in self._without_call:
                recorder.deliveries_accepted(channel, amount)
            else:
                self.made_deliveries = True


def folding_of(project: Project) -> events.Folding:
    """Return what a fold needs to know of the project's policies."""
    specs = project.policies

    def rule(policy: str, person: Person | None) -> WindowRule:
        spec = specs[policy]
        return spec.rule if person is None or spec.personal_rule is None else spec.personal_rule(person)

    return events.Folding(
        rules=rule,
        policies=list(specs),
        hosts={name: spec.host for name, spec in specs.items() if spec.host},
        reading=[name for name, spec in specs.items() if specs[spec.host or name].reads_data],
        quiet={name for name, spec in specs.items() if spec.rule.quiet is not None},
        own_left_out=[name for name, spec in specs.items() if spec.leaves_out_own],
        personal=any(spec.personal_rule for spec in specs.values()),
    )


class _FoldedAll(NamedTuple):
    clock: datetime
    complete: bool
    """It has seen everything that was committed by the clock."""


def _failed(batch: Due, error: Exception) -> tuple[int, str]:
    reason = storable(f"{type(error).__name__}: {error}")
    recorder.render_failed(batch.policy)
    fields = {"batch": batch.id, "policy": batch.policy, "error": reason}
    logger.warning("digest could not be rendered", extra={"fields": fields})
    return batch.id, reason
