"""The main loop uses the hot path as it is meant: one round trip a chunk, behind the watermark, undisturbed."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.partitions import tasks
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.supervisor.board import Board
from pgsupervise.supervisor.channel_board import ChannelBoard
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.context import WorkerContext
from pgsupervise.supervisor.outcomes import Done, TaskOutcome
from pgsupervise.supervisor.ownership import Ownership
from pgsupervise.supervisor.project import Project, TaskSpec
from pgsupervise.supervisor.results import Results
from pgsupervise.supervisor.signals import SignalInbox
from pgsupervise.supervisor.task_loop import BUSY_TASKS, TaskLoop
from tests.integration.test_round_trips import traffic
from tests.integration.world import add_task, owner_of

Connect = Callable[[], psycopg.Connection]


class Watched(Results):
    """Remembers what was asked to be claimed."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: list[tasks.Claim] = []

    def write_and_claim(self, connection: Connection, claim: tasks.Claim) -> tasks.Chunk:
        self.claims.append(claim)
        return super().write_and_claim(connection, claim)


class World:
    """A main loop in this process that owns buckets 0 and 1."""

    def __init__(self, dsn: str, connection: psycopg.Connection) -> None:
        self.connection = connection
        owner, epochs = owner_of(connection, 0, 1)
        self.ran: list[int] = []
        self.results = Watched()
        board = Board(2)
        ownership = Ownership(timedelta(days=1))
        ownership.renewed(1e9)
        ownership.adopt(epochs)
        self.context = WorkerContext(
            id=owner,
            config=Config(),
            project=Project(
                conninfo=conninfo_to_dict(dsn),
                tasks={"t": TaskSpec()},
                run_task=self._run,
                policies={},
                render=lambda batch: [],
                channels={},
                longest_send=timedelta(seconds=1),
                close_connections=lambda: None,
            ),
            supervisor_id=uuid4(),
            parent_pid=os.getppid(),
            kind="worker",
            slot=0,
            board=board.row(0),
            common=board.row(1),
            channels=ChannelBoard([]),
            wake_parent=lambda: None,
            inbox=SignalInbox(),
            ownership=ownership,
            results=self.results,
        )
        self.loop = TaskLoop(self.context)

    def _run(self, task: ClaimedTask) -> TaskOutcome:
        self.ran.append(task.id)
        return Done()

    def add(self, count: int, bucket: int = 0, **columns: Any) -> list[int]:
        return [add_task(self.connection, bucket, **columns) for _ in range(count)]

    @property
    def link(self) -> Connection:
        return self.loop._link.connection


@pytest.fixture
def world(db: str, connect: Connect) -> Iterator[World]:
    world = World(db, connect())
    yield world
    world.link.close()
    world.context.inbox.close()


def test_a_chunk_is_ended_and_the_next_one_claimed_in_one_round_trip_behind_the_mark(world: World) -> None:
    numbers = world.add(2000)
    assert world.loop.step()
    first = len(world.ran)
    assert 0 < first < 2000
    with traffic(world.link) as seen:
        assert world.loop.step()
    assert (seen.statements, seen.waits) == (5, 1)
    assert world.ran == numbers[: len(world.ran)], "in order"
    assert [claim.after for claim in world.results.claims] == [tasks.START, (0, numbers[first - 1])]


def test_what_a_sleeping_worker_hears_of_is_claimed_from_the_start(world: World) -> None:
    world.add(1)
    assert world.loop.step()
    assert world.loop._sleep.begin(world.link, world.context.ownership.owned().keys())
    urgent = world.add(1, priority=-5)
    world.connection.execute("SELECT pg_notify('pgsupervise_task_0', '')")
    world.link.execute("SELECT 1")
    assert world.loop.step()
    assert world.ran[-1:] == urgent
    assert world.results.claims[-1].after == tasks.START


@pytest.mark.parametrize(("count", "sleeps_on"), [(1, True), (BUSY_TASKS, False)])
def test_a_trickle_leaves_the_worker_asleep_and_a_crowd_does_not(world: World, count: int, sleeps_on: bool) -> None:
    world.add(20)
    while len(world.ran) < 20:
        world.loop.step()  # the worker learns that these tasks are quick
    assert world.loop._sleep.begin(world.link, world.context.ownership.owned().keys())
    world.add(count)
    world.connection.execute("SELECT pg_notify('pgsupervise_task_0', '')")
    world.link.execute("SELECT 1")
    assert world.loop.step()
    assert len(world.ran) == 20 + count
    assert world.loop._sleep.is_deep(world.link) == sleeps_on
