"""The rules about tasks: claims, their ends by the claimer or by a zombie, and reclaim."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import Enum
from itertools import groupby
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from pgsupervise.partitions import reclaim, tasks
from pgsupervise.partitions.states import TaskState
from pgsupervise.partitions.tasks import EndedTask, FailedTask, Watermark
from tests.integration.ownership.cluster_model import Process
from tests.integration.ownership.lease_machine import (
    BUCKETS,
    Fence,
    LeaseMachine,
    Sweep,
    among,
    buckets,
    fates,
    fences,
    partition_counts,
    processes,
    sweeps,
)
from tests.integration.ownership.task_model import Claim, LiveTask, TaskBook
from tests.integration.world import add_task

LIVE_ROWS = """
SELECT id, bucket, state, claim_token, claimed_by, attempt, crashes, error FROM pgsupervise_task
"""
ARCHIVE_ROWS = "SELECT id, state, attempt, crashes, error, worker FROM pgsupervise_finishedtask"


FORMER = 4
"""How many claims beside the rightful ones are still about to be ended by somebody."""
some_claims = st.lists(among(lambda machine: machine.open_claims()), min_size=1, max_size=3)
has_claims = precondition(lambda machine: bool(machine.claims))


class End(Enum):
    """What a process writes about a task that it takes for its own."""

    DONE = "it returned"
    DEAD = "its attempts are used up"
    FAILED = "it raised, and may run again at once"
    FAILED_FOR_LONG = "it raised, and may run again in an hour"
    GIVEN_BACK = "it was not begun"
    FORGOTTEN = "nothing: the process does not know of it, and looks for such tasks"


ends = st.sampled_from(End)
stories = st.fixed_dictionaries(
    {
        "bucket": buckets,
        "crashes": st.integers(0, 2),
        "fate": fates,
        "sweep": sweeps,
        "inherited": st.booleans(),
        "late": ends,
        "end": ends,
    }
)


class TaskMachine(LeaseMachine):
    """Tasks are claimed and ended by whoever once had them in hand."""

    def __init__(self, connections: Sequence[psycopg.Connection]) -> None:
        super().__init__(connections)
        self.book = TaskBook(self.cluster)
        self.claims: list[Claim] = []
        self.enqueued: set[int] = set()
        self.last_claim: dict[int, Claim] = {}
        self.last_token: dict[int, int] = {}

    def claimers(self) -> Collection[Process]:
        return {task.claimer for task in self.book.in_progress() if task.claimer}

    def open_claims(self) -> list[Claim]:
        """Return the claims that some process may yet end, most of them rightful."""
        rightful = self.book.rightful(self.claims)
        current = [claim for claim in self.claims if self.book.live.get(claim.task.id) in rightful]
        return current + self.claims[-FORMER:]

    @initialize(partitions=partition_counts, story=stories)
    def begins_with_a_story(self, partitions: int, story: dict[str, Any]) -> None:
        self.boots_and_acquires(0, partitions, BUCKETS[0])
        self.is_late_with_its_end(self.cluster.processes[0], story)

    @rule(bucket=buckets, priority=st.integers(-1, 1), crashes=st.sampled_from([0, 0, 1, 2]), count=st.integers(1, 3))
    def enqueues(self, bucket: int, priority: int, crashes: int, count: int) -> None:
        for _ in range(count):
            number = add_task(self.keeper, bucket, priority=priority, crashes=crashes)
            self.book.live[number] = LiveTask(number, bucket, priority, crashes)
            self.enqueued.add(number)

    @rule(
        caller=processes,
        bucket=buckets,
        fence=fences,
        limit=st.integers(1, 3),
        behind=st.booleans(),
        reply_is_lost=st.sampled_from([False, False, True]),
    )
    def claims_a_chunk(
        self, caller: Process, bucket: int, fence: Fence, limit: int, behind: bool, reply_is_lost: bool
    ) -> None:
        process, epoch = self.fenced(bucket, caller, fence)
        after = process.watermarks.get(bucket, tasks.START) if behind else tasks.START
        made = self.claim(process, bucket, epoch, limit, after)
        if not reply_is_lost:
            self.hold(made)

    def claim(self, process: Process, bucket: int, epoch: int, limit: int, after: Watermark) -> list[Claim]:
        """Claim, compare and remember who claimed last."""
        chunk, reached = tasks.claim_tasks(
            self.of(process),
            tasks.Claim(bucket=bucket, owner=process.id, epoch=epoch, names=["t"], limit=limit, after=after),
        )
        predicted = self.book.claim(process, bucket, epoch, limit, after)
        got = [(task.id, task.bucket, task.claim_token, task.attempt, task.crashes) for task in chunk]
        assert got == [(task.id, task.bucket, task.token, task.attempt, task.crashes) for task in predicted]
        assert reached == (predicted[-1].place if predicted else after)
        process.watermarks[bucket] = reached
        made = [Claim(process, task) for task in chunk]
        self.last_claim.update({claim.task.id: claim for claim in made})
        return made

    @has_claims
    @rule(chosen=some_claims, end=ends)
    def writes_an_end(self, chosen: list[Claim], end: End) -> None:
        for (by, bucket), claims in _by_writer(chosen):
            for claim in claims:
                by.in_hand.discard(claim.task.id)
            written = self.write(by, bucket, claims, end)
            for number in written:
                assert self.last_claim[number] in claims, "a former claim ended the claim of another"

    def write(self, by: Process, bucket: int, claims: list[Claim], end: End) -> set[int]:
        """Let a process write the end of claims in a bucket; return what was still its own."""
        connection, held = self.of(by), [claim.task for claim in claims]
        match end:
            case End.DONE | End.DEAD:
                state, error = (TaskState.DONE, None) if end is End.DONE else (TaskState.DEAD, "x")
                with connection.transaction():
                    written = tasks.finish_tasks(connection, bucket, [EndedTask(task, state, error) for task in held])
                assert written == self.book.end(claims, state, error)
            case End.FAILED | End.FAILED_FOR_LONG:
                delay = timedelta(hours=end is End.FAILED_FOR_LONG)
                failed = [FailedTask(task, delay, f"error of {by}", "traceback") for task in held]
                written = tasks.retry_tasks(connection, bucket, failed)
                assert written == self.book.retry(claims, not delay, f"error of {by}")
            case End.GIVEN_BACK:
                written = tasks.give_back_tasks(connection, bucket, held)
                assert written == self.book.give_back(claims)
            case End.FORGOTTEN:
                self.releases_what_it_does_not_hold(by)
                written = set()
        return written

    @rule(caller=processes, story=stories)
    def is_late_with_its_end(self, caller: Process, story: dict[str, Any]) -> None:
        """The story of the fences: between claim and end, something happens to the process, and others take over."""
        bucket: int = story["bucket"]
        self.enqueues(bucket, priority=-1, crashes=story["crashes"], count=2)
        process, epoch = self.fenced(bucket, caller, Fence.RIGHT)
        self.hold(self.claim(process, bucket, epoch - 1, 2, tasks.START))
        former = self.hold(self.claim(process, bucket, epoch, 2, tasks.START))
        self.suffers(process, story["fate"])
        if story["sweep"] is not Sweep.NONE:
            self.prune()
            self.claims_of_the_dead_are_reclaimed()
            (self.prune if story["sweep"] is Sweep.PRUNES else self.free)()
        self.due_ones_are_promoted(bucket)
        heir, epoch = self.heir_of(bucket) if story["inherited"] else self.fenced(bucket, process, Fence.RIGHT)
        latter = self.hold(self.claim(heir, bucket, epoch, 2, tasks.START))
        for late in (story["late"], End.GIVEN_BACK, End.FAILED, End.DONE):
            self.writes_an_end(former, late)
        self.due_ones_are_promoted(bucket)
        self.writes_an_end(former + latter, story["end"])

    def hold(self, made: list[Claim]) -> list[Claim]:
        """Let processes know of their claims."""
        for claim in made:
            claim.by.in_hand.add(claim.task.id)
        self.claims += made
        return made

    @rule(bucket=buckets)
    def due_ones_are_promoted(self, bucket: int) -> None:
        assert tasks.promote_tasks(self.keeper, bucket) == self.book.promote(bucket)

    @rule(process=processes)
    def releases_what_it_does_not_hold(self, process: Process) -> None:
        found = tasks.release_unheld_tasks(self.of(process), process.id, process.in_hand)
        assert len(found) == len(set(found))
        assert set(found) == self.book.release_unheld(process)

    @rule()
    def claims_of_the_dead_are_reclaimed(self) -> None:
        found = reclaim.reclaim(self.keeper, safe_channels=[], resend_policies=[])
        assert (found.tasks, found.poisoned) == self.book.reclaim()
        assert found.deliveries == 0

    def check(self) -> None:
        super().check()
        self.tasks_are_as_predicted_and_each_is_in_one_place()
        self.claim_tokens_never_fall_and_no_attempt_is_lost()

    @invariant()
    def tasks_are_as_predicted_and_each_is_in_one_place(self) -> None:
        live, archive = self.read(LIVE_ROWS), self.read(ARCHIVE_ROWS)
        assert set(live) == {task.row() for task in self.book.live.values()}
        assert {number: tuple(row) for number, *row in archive} == self.book.archive
        assert sorted([row[0] for row in live] + [row[0] for row in archive]) == sorted(self.enqueued)

    @invariant()
    def claim_tokens_never_fall_and_no_attempt_is_lost(self) -> None:
        for number, token, attempt in self.read("SELECT id, claim_token, attempt FROM pgsupervise_task"):
            assert token >= self.last_token.get(number, 0)
            assert 0 <= attempt <= token
            self.last_token[number] = token


def _by_writer(chosen: list[Claim]) -> list[tuple[tuple[Process, int], list[Claim]]]:
    """A statement is one process's about one bucket."""
    ordered = sorted(set(chosen), key=lambda claim: (claim.by.number, claim.task.bucket, claim.task.id))
    return [(key, list(group)) for key, group in groupby(ordered, lambda claim: (claim.by, claim.task.bucket))]
