"""A whole flusher with channels that send many messages by one call, and with channels in reserve."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgsupervise.partitions.rows import ClaimedDelivery, DueBatch, NewDelivery
from pgsupervise.partitions.windows import WindowRule
from pgsupervise.supervisor.board import Board
from pgsupervise.supervisor.channel_board import ChannelBoard
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.context import WorkerContext
from pgsupervise.supervisor.flusher import Flusher
from pgsupervise.supervisor.outcomes import Accepted, Done, Refused, SendOutcome
from pgsupervise.supervisor.ownership import Ownership
from pgsupervise.supervisor.project import ChannelSpec, PolicySpec, Project
from pgsupervise.supervisor.signals import SignalInbox
from tests.integration.world import owner_of
from tests.waiting import wait_until

PEOPLE = 100
NEW = """
INSERT INTO pgsupervise_event (bucket, policy, recipient, key, occurred_at)
SELECT get_byte(sha256(convert_to('r' || i, 'UTF8')), 0), %s, 'r' || i, n::text, now() - interval '1 day'
FROM generate_series(1, %s) i, generate_series(1, %s) n
"""
Connect = Callable[[], psycopg.Connection]


class Recording:
    """Accepts what comes, in whatever company, but for the recipients that it refuses."""

    def __init__(self, *refused: str) -> None:
        self.calls: list[list[ClaimedDelivery]] = []
        self._refused = refused

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        self.calls.append([delivery])
        return Refused("no such mailbox") if delivery.recipient in self._refused else Accepted()

    def send_together(self, deliveries: Sequence[ClaimedDelivery]) -> Sequence[SendOutcome | None]:
        self.calls.append(list(deliveries))
        is_faulty = any(one.recipient in self._refused for one in deliveries)
        return [None if is_faulty else Accepted() for _ in deliveries]


def project_of(dsn: str, channels: Mapping[str, ChannelSpec]) -> Project:
    def render(batch: DueBatch) -> Sequence[NewDelivery]:
        payload = {"item_ids": list(batch.item_ids), "fallbacks": list(channels)[1:]}
        return [NewDelivery(name, payload, is_standby=number > 0) for number, name in enumerate(channels)]

    return Project(
        conninfo=conninfo_to_dict(dsn),
        tasks={},
        run_task=lambda task: Done(),
        policies={"p": PolicySpec(rule=WindowRule(window=timedelta(hours=1)))},
        render=render,
        channels=channels,
        longest_send=timedelta(seconds=1),
        close_connections=lambda: None,
    )


@contextmanager
def flushing(project: Project, connection: psycopg.Connection) -> Iterator[None]:
    """Run a flusher that owns all buckets until the block ends; then it drains."""
    owner, epochs = owner_of(connection, *range(256))
    ownership = Ownership(timedelta(days=1))
    ownership.renewed(1e9)
    ownership.adopt(epochs)
    board = Board(2)
    context = WorkerContext(
        id=owner,
        config=Config(senders=2),
        project=project,
        supervisor_id=uuid4(),
        parent_pid=os.getppid(),
        kind="worker",
        slot=0,
        board=board.row(0),
        common=board.row(1),
        wake_parent=lambda: None,
        inbox=SignalInbox(),
        ownership=ownership,
        channels=ChannelBoard(project.channels),
    )
    flusher = Flusher(context)
    flusher.start()
    try:
        yield
    finally:
        context.draining.set()
        flusher.join(60)
        context.inbox.close()
    assert not flusher.is_alive()


def states(connection: psycopg.Connection) -> dict[tuple[str, str], int]:
    rows: list[Any] = connection.execute(
        "SELECT channel, state, count(*) FROM pgsupervise_delivery GROUP BY 1, 2"
    ).fetchall()
    return {(channel, state): count for channel, state, count in rows}


@pytest.fixture
def connection(connect: Connect) -> psycopg.Connection:
    return connect()


def test_many_buckets_messages_go_by_few_calls_each_once_and_in_order(db: str, connection: psycopg.Connection) -> None:
    connection.execute(NEW, ["p", PEOPLE, 2])
    channel = Recording()
    project = project_of(db, {"bulk": ChannelSpec(build=lambda: channel, together=1000)})
    with flushing(project, connection):
        wait_until(lambda: states(connection) == {("bulk", "ACCEPTED"): 2 * PEOPLE}, 60, "all are accepted")
    sent = Counter(one.id for call in channel.calls for one in call)
    assert len(sent) == 2 * PEOPLE
    assert set(sent.values()) == {1}
    assert len(channel.calls) < PEOPLE
    assert all(len({one.recipient for one in call}) == len(call) for call in channel.calls)
    last: dict[str, int] = {}
    for one in (one for call in channel.calls for one in call):
        assert one.id > last.get(one.recipient, 0)
        last[one.recipient] = one.id


def test_what_one_refuses_another_one_sends_and_nobody_gets_it_twice(db: str, connection: psycopg.Connection) -> None:
    connection.execute(NEW, ["p", PEOPLE, 1])
    refused = ("r7", "r8", "r9")
    bulk, single = Recording(*refused), Recording()
    channels = {
        "bulk": ChannelSpec(build=lambda: bulk, together=100),
        "single": ChannelSpec(build=lambda: single),
    }
    expected = {
        ("bulk", "ACCEPTED"): PEOPLE - 3,
        ("bulk", "REFUSED"): 3,
        ("single", "ACCEPTED"): 3,
        ("single", "SKIPPED"): PEOPLE - 3,
    }
    with flushing(project_of(db, channels), connection):
        wait_until(lambda: states(connection) == expected, 60, "each digest has found its channel")
    assert sorted(one.recipient for call in single.calls for one in call) == sorted(refused)
