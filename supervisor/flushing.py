"""Folding and sealing one bucket: everything that is pending there is folded before anything is sealed."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from pgsupervise.metrics import recorder
from pgsupervise.partitions import batches, events, turns
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.folding import Key
from pgsupervise.partitions.marks import START, Marks, Place
from pgsupervise.partitions.rows import Person
from pgsupervise.partitions.states import Reason
from pgsupervise.partitions.windows import WindowRule

from .project import Project
from .sealing import Due, Sealing, Tenure
from .yielding import yielding

FOLD_CHUNK = 5000
SEAL_CHUNK = 1000
BESIDE = 64
"""So many batches of tenants that a chunk has left out are sealed with it."""


class Flushing:
    """One bucket's turn, under the epoch that it began with; `may_go_on` is asked between two transactions."""

    def __init__(
        self, project: Project, connection: Connection, *, owner: UUID, bucket: int, epoch: int, marks: Marks
    ) -> None:
        self._project = project
        self._connection = connection
        self._tenure = Tenure(bucket, owner, epoch)
        self._marks = marks
        self._folding = folding_of(project)
        bare = [name for name, policy in project.policies.items() if policy.is_bare]
        self._front: dict[str, Any] = {"bucket": bucket, "policies": list(project.policies), "bare": bare}
        self._sealing = Sealing(project, connection, self._tenure, marks)
        self._due = False
        self._is_over = False

    @property
    def is_unfinished(self) -> bool:
        """Whether something is still to be sealed, and only this turn was over."""
        return self._is_over and self._due

    @property
    def made_deliveries(self) -> bool:
        """Whether something that was sealed is to be sent."""
        return self._sealing.made_deliveries

    def run(self, *, due: bool, may_go_on: Callable[[], bool], seconds: float = math.inf) -> None:
        """Fold what is new, then seal what is due; `due` says that something already was.

        After so many `seconds` of sealing the turn is over, so that what is sealed can be sent.

        An owner that was away must make the same digests as one that was not: before anything is sealed, a fold must
        have seen all that was committed by the clock of the seal. One that began behind a mark may have missed an event
        that committed late with an earlier time: only what began at the start and went on to the end lets the bucket be
        sealed, by the clock that its first chunk has read. Where nothing is due, none is needed.
        """
        self._due = due
        folded = self._fold_all(may_go_on) if due else self._fold_new(may_go_on)
        if folded and self._due and not folded.complete:
            folded = self._fold_all(may_go_on)
        began = time.monotonic()
        while folded and self._due and not self._is_over and may_go_on():
            self._due = self._seal_next(folded.clock)
            self._is_over = time.monotonic() >= began + seconds

    def _fold_all(self, may_go_on: Callable[[], bool]) -> "_FoldedAll | None":
        reached, self._marks.folded = self._marks.folded, START
        folded = self._fold_new(may_go_on)
        self._marks.folded = max(reached, self._marks.folded)
        return folded

    def _fold_new(self, may_go_on: Callable[[], bool]) -> "_FoldedAll | None":
        """Fold from the mark to the end; None where there was no time for all."""
        began, clock = self._marks.folded, None
        while True:
            full = self._fold_chunk()
            if full is None or not may_go_on():
                return None
            # What was committed by the first chunk's clock was there for each of the chunks to see.
            clock = clock or self._clock
            if not full:
                return _FoldedAll(clock, complete=began == START)

    def _fold_chunk(self) -> bool | None:
        """Return whether there may be more; None where nothing could be folded."""
        new = yielding(
            self._marks,
            lambda: events.fold_events(
                self._connection,
                **self._tenure._asdict(),
                folding=self._folding,
                limit=FOLD_CHUNK,
                after=self._marks.folded,
                left=self._marks.left,
            ),
        )
        if new is None:
            return None
        self._clock, self._marks.folded = new.clock, new.reached
        if new.earliest:
            # A late event may have opened a batch whose time came before that of others that are sealed.
            self._marks.sealed = min(self._marks.sealed, (new.earliest, 0))
            self._due = self._due or new.earliest <= new.clock
        for policy, count in Counter(event.policy for event in new.events if event.kind == "event").items():
            recorder.events_folded(policy, count)
        for policy, count in Counter(event.policy for event in new.events if event.kind == "own").items():
            recorder.events_left_out(policy, Reason.OWN_ACTION, count)
        return new.read == FOLD_CHUNK

    def _seal_next(self, clock: datetime) -> bool:
        front = self._front | {"clock": clock}
        due, more = batches.due_batches(self._connection, **front, limit=SEAL_CHUNK, after=self._marks.sealed)
        if due:
            end = due[-1].deliver_at, due[-1].id
            self._sealing.seal([*due, *self._beside(front, due, end)] if more else due, clock)
            self._marks.sealed = end
        return more

    def _beside(self, front: Mapping[str, Any], due: Sequence[Due], end: Place) -> Sequence[Due]:
        """Return what is sealed along with a chunk that leaves out more, of the tenants of which it has nothing."""
        served, last = {batch.tenant for batch in due}, self._marks.turns.sealed
        beside = turns.batches_in_turn(self._connection, front, end=end, served=served, last=last, limit=BESIDE)
        self._marks.turns.sealed = beside.last
        return beside.batches


def folding_of(project: Project) -> events.Folding:
    """Return what a fold needs to know of the project's policies."""
    specs = project.policies

    def rule(key: Key, person: Person | None) -> WindowRule:
        spec = specs[key[0]]
        return spec.rule if person is None or spec.personal_rule is None else spec.personal_rule(person, key[2])

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
