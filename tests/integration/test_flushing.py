"""Flushing a bucket behind its marks: what commits late is folded before anything there is sealed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import START, Marks
from pgsupervise.partitions.rows import DueBatch, NewDelivery
from pgsupervise.supervisor import flushing
from pgsupervise.supervisor.flushing import Flushing
from pgsupervise.supervisor.mark_book import MARK_SECONDS, MarkBook
from pgsupervise.supervisor.outcomes import Done
from pgsupervise.supervisor.project import Channel, ChannelSpec, PolicySpec, Project
from tests.integration.test_notification_rows import ADA, BUCKET, HOUR, NOON, RULE, add_event
from tests.integration.world import one, owner_of

Connect = Callable[[], psycopg.Connection]
MINUTE = timedelta(minutes=1)


def render(batch: DueBatch) -> list[NewDelivery]:
    return [NewDelivery("null", {"item_ids": list(batch.item_ids)})]


def no_channel() -> Channel:
    raise AssertionError("these tests seal and send nothing by a call, so no channel is built")


PROJECT = Project(
    conninfo={},
    tasks={},
    run_task=lambda task: Done(),
    policies={"p": PolicySpec(rule=RULE, is_bare=True)},
    render=render,
    channels={"null": ChannelSpec(build=no_channel, takes=frozenset(), needs_call=False)},
    longest_send=timedelta(seconds=1),
    close_connections=lambda: None,
)


class World:
    """A bucket's owner and the event clock."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.connection = connect()
        self.owner, self.epochs = owner_of(self.connection, BUCKET)
        self.marks = Marks()

    def flush(self, at: datetime, *, due: bool = False) -> None:
        self.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [at])
        Flushing(
            PROJECT,
            self.connection,
            owner=self.owner,
            bucket=BUCKET,
            epoch=self.epochs[BUCKET],
            marks=self.marks,
        ).run(due=due, may_go_on=lambda: True)

    def digests(self) -> list[list[int]]:
        rows = self.connection.execute("SELECT payload->'item_ids' FROM pgsupervise_delivery ORDER BY id")
        return [row[0] for row in rows]

    def pending(self) -> Any:
        return one(self.connection, "SELECT count(*) FROM pgsupervise_event WHERE state = 'PENDING'")


@pytest.fixture
def world(connect: Connect) -> World:
    return World(connect)


def test_an_event_that_commits_late_below_the_mark_is_in_the_digest_where_it_belongs(world: World) -> None:
    producer = world.connect()
    producer.execute("BEGIN")
    late = add_event(producer, NOON + 10 * MINUTE)
    first = add_event(world.connection, NOON)
    second = add_event(world.connection, NOON + 20 * MINUTE)
    world.flush(NOON + 30 * MINUTE)
    assert world.marks.folded == (NOON + 20 * MINUTE, second)
    producer.execute("COMMIT")
    world.flush(NOON + 40 * MINUTE)
    assert world.pending() == 1, "it lies below the mark: a fold alone does not look there"
    world.flush(NOON + 2 * HOUR, due=True)
    assert world.digests() == [[first, late, second]]
    assert world.pending() == 0


def test_a_late_event_whose_own_time_has_come_is_sealed_in_the_same_turn(world: World) -> None:
    at_noon = add_event(world.connection, NOON)
    world.flush(NOON + 5 * HOUR)
    assert world.digests() == [[at_noon]], "nobody said that something was due, but the fold saw it"
    assert world.marks.sealed[0] == NOON + HOUR
    world.marks.folded = START
    late = add_event(world.connection, NOON - 3 * HOUR)
    world.flush(NOON + 5 * HOUR)
    assert world.digests() == [[at_noon], [late]]


def test_many_chunks_of_both_kinds_end_in_the_same_digests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushing, "FOLD_CHUNK", 7)
    monkeypatch.setattr(flushing, "SEAL_CHUNK", 2)
    ids = [add_event(world.connection, NOON + number * 10 * MINUTE) for number in range(60)]
    world.flush(NOON + 100 * HOUR)
    assert world.digests() == [ids[start : start + 6] for start in range(0, 60, 6)]
    states = "SELECT count(*) FROM pgsupervise_delivery WHERE state = 'ACCEPTED' AND finished_at IS NOT NULL"
    assert one(world.connection, states) == 10, "the channel needs no call"


@pytest.mark.parametrize("text", ["a NUL \0", "half a pair \ud83d"])
def test_a_message_that_no_table_can_hold_keeps_nobody_elses(world: World, text: str) -> None:
    spoilt = add_event(world.connection, NOON)
    others = [add_event(world.connection, NOON + hour * HOUR) for hour in (2, 4)]

    def rendered(batch: DueBatch) -> list[NewDelivery]:
        return [
            NewDelivery("null", {"item_ids": list(batch.item_ids), "text": text if spoilt in batch.item_ids else ""})
        ]

    flush = Flushing(
        replace(PROJECT, render=rendered),
        world.connection,
        owner=world.owner,
        bucket=BUCKET,
        epoch=world.epochs[BUCKET],
        marks=world.marks,
    )
    world.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [NOON + 9 * HOUR])
    flush.run(due=True, may_go_on=lambda: True)
    assert world.digests() == [[number] for number in others]
    assert one(world.connection, "SELECT error <> '' FROM pgsupervise_batch WHERE state <> 'SEALED'")


def test_chunks_full_of_what_a_caller_holds_keep_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushing, "FOLD_CHUNK", 2)
    for minute in range(5):
        add_event(world.connection, NOON + minute * MINUTE)
    other = next(name for name in (f"user{n}@example.com" for n in range(10_000)) if bucket_of(name) == BUCKET)
    free = add_event(world.connection, NOON + 9 * MINUTE, recipient=other)
    caller = world.connect()
    caller.execute("BEGIN")
    caller.execute("SELECT FROM pgsupervise_event WHERE recipient = %s FOR UPDATE", [ADA])
    world.flush(NOON + 9 * HOUR, due=True)
    assert world.digests() == [[free]]
    caller.execute("COMMIT")
    world.marks = Marks()
    world.flush(NOON + 9 * HOUR, due=True)
    assert (len(world.digests()), world.pending()) == (2, 0)


def test_nothing_is_sealed_by_an_owner_that_has_to_stop_before_all_is_folded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "FOLD_CHUNK", 2)
    for minute in range(5):
        add_event(world.connection, NOON + minute * MINUTE)
    world.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [NOON + 9 * HOUR])
    turn = Flushing(
        PROJECT, world.connection, owner=world.owner, bucket=BUCKET, epoch=world.epochs[BUCKET], marks=world.marks
    )
    turn.run(due=True, may_go_on=lambda: False)
    assert (world.pending(), world.digests()) == (3, [])


def test_many_digests_of_one_recipient_are_sealed_in_the_order_of_their_times(world: World) -> None:
    numbers = [add_event(world.connection, NOON + hour * HOUR, recipient=ADA) for hour in (5, 1, 3, 2, 4)]
    world.flush(NOON + 100 * HOUR)
    assert world.digests() == [[numbers[place]] for place in (1, 3, 2, 4, 0)]


def test_marks_are_of_one_epoch_and_one_second() -> None:
    now = [0.0]
    book = MarkBook(clock=lambda: now[0])
    marks = book.of(3, 1)
    marks.safe = 7
    assert book.of(3, 1) is marks
    assert book.of(4, 1) == Marks()
    assert book.of(3, 2) == Marks(), "another owner may have left something below them"
    assert book.of(3, 2).safe == 0
    book.of(3, 2).safe = 9
    now[0] += MARK_SECONDS
    assert book.of(3, 2) == Marks()
