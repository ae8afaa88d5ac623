"""The dispatcher with real threads, a real table and a real server: what is claimed, and what is left for later."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.windows import WindowRule
from pgsupervise.supervisor.board import Board
from pgsupervise.supervisor.budget import Budget
from pgsupervise.supervisor.channel_board import ChannelBoard
from pgsupervise.supervisor.claiming import Wanted
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.context import WorkerContext
from pgsupervise.supervisor.dispatcher import Dispatcher
from pgsupervise.supervisor.gate import Gate
from pgsupervise.supervisor.limits import Limit
from pgsupervise.supervisor.link import Link
from pgsupervise.supervisor.mark_book import MarkBook
from pgsupervise.supervisor.outcomes import Done
from pgsupervise.supervisor.ownership import Ownership
from pgsupervise.supervisor.pauses import Pauses
from pgsupervise.supervisor.project import ChannelSpec, PolicySpec, Project
from pgsupervise.supervisor.senders import Senders
from pgsupervise.supervisor.signals import SignalInbox
from tests.integration.world import one, owner_of
from tests.sendgrid_sending import channel
from tests.sendgrid_server import Behaviour, SendGridServer

Connect = Callable[[], psycopg.Connection]
PEOPLE = ["ada@example.com", "bob@example.com", "cid@example.com"]
SENT = "SELECT count(*) FROM pgsupervise_delivery WHERE state = 'ACCEPTED'"
DUE = "SELECT DISTINCT bucket FROM pgsupervise_delivery WHERE state = 'PENDING' AND channel = ANY(%s) ORDER BY bucket"
PAYLOAD = {"to": "ada@example.com", "from": "News <news@example.com>", "subject": "3 changes", "text": "Three."}


class World:
    """A dispatcher of this process, which owns the buckets of some people; `now` is the clock of its budgets."""

    def __init__(self, dsn: str, connection: psycopg.Connection, provider: SendGridServer) -> None:
        self.now = 100.0
        self.connection = connection
        self.buckets = sorted({bucket_of(person) for person in PEOPLE})
        owner, self.epochs = owner_of(connection, *self.buckets)
        # By their age these are settled; the rest of the 256 make the worker's part the whole.
        self.ownership = Ownership(timedelta(days=1), lambda: self.now)
        self.ownership.renewed(self.now)
        self.ownership.adopt(dict.fromkeys(range(256), 1) | self.epochs)
        self.now += 60
        limits = {"counted": Limit(per_second=2)}
        specs = {name: ChannelSpec(build=lambda: channel(provider), limit=limit) for name, limit in limits.items()}
        specs["free"] = ChannelSpec(build=lambda: channel(provider))
        board = Board(2)
        self.context = WorkerContext(
            id=owner,
            config=Config(poll=timedelta(0)),
            project=Project(
                conninfo=conninfo_to_dict(dsn),
                tasks={},
                run_task=lambda task: Done(),
                policies={"p": PolicySpec(rule=WindowRule(window=timedelta(hours=1)))},
                render=lambda batch: [],
                channels=specs,
                longest_send=timedelta(seconds=1),
                close_connections=lambda: None,
                most_per_hour=3,
            ),
            supervisor_id=uuid4(),
            parent_pid=os.getppid(),
            kind="worker",
            slot=0,
            board=board.row(0),
            common=board.row(1),
            channels=ChannelBoard(specs),
            wake_parent=lambda: None,
            inbox=SignalInbox(),
            ownership=self.ownership,
        )
        budgets = {
            name: Budget(limit, self.ownership.settled, 1.0, lambda: self.now, lambda: 0.0)
            for name, limit in limits.items()
        }
        self.gate = Gate(list(specs), Pauses(self.context.channels, owner, "worker-0 on here", 1.0), budgets)
        self.senders = Senders(self.context.project, 2, lambda: True, self.gate)
        self.link = Link(self.context.project.conninfo, "flusher", lambda seconds: None, timedelta(seconds=5))
        self.dispatcher = Dispatcher(self.context, self.link, self.senders, MarkBook(), _raise)

    def add(self, person: str, by: str, **columns: Any) -> None:
        """Insert a delivery that is to be sent."""
        fields = {"bucket": bucket_of(person), "recipient": person, "channel": by, "payload": Jsonb(PAYLOAD), **columns}
        names = ", ".join(fields)
        marks = ", ".join(f"%({field})s" for field in fields)
        self.connection.execute(
            f"INSERT INTO pgsupervise_delivery (batch_id, policy, {names}) "  # noqa: S608 - the test's own names
            f"VALUES (nextval('pgsupervise_batch_id_seq'), 'p', {marks})".encode(),
            fields,
        )

    def turn(self, *, passes: float = 0.0) -> int:
        """Offer each bucket once, wait for what was begun, and return how many are sent in all."""
        self.now += passes
        names = self.gate.open_channels()
        for (bucket,) in self.connection.execute(DUE, [names]).fetchall():
            self.dispatcher.want(Wanted(bucket, self.epochs[bucket], safe=False, unsafe=True))
        self.dispatcher.dispatch()
        while not self.dispatcher.is_empty:
            self.dispatcher.rest(0.0)
            self.dispatcher.write_answers(at_once=True)
        count: int = one(self.connection, SENT)
        return count


def _raise(bucket: int, error: Exception) -> None:
    raise error


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[SendGridServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with SendGridServer() as running:
        yield running


@pytest.fixture
def world(db: str, connect: Connect, provider: SendGridServer) -> Iterator[World]:
    world = World(db, connect(), provider)
    yield world
    world.senders.stop()
    world.link.close()
    world.context.inbox.close()


def test_a_channel_with_a_limit_gets_what_its_turn_allows_and_the_others_do_not_wait(
    world: World, provider: SendGridServer
) -> None:
    for person in PEOPLE:
        for _ in range(2):
            world.add(person, "counted")
    world.add(PEOPLE[0], "free")
    assert world.turn() == 1, "nothing has been saved up at the first look"
    assert world.turn(passes=0.5) == 2
    assert world.turn() == 2
    assert world.turn(passes=0.5) == 3
    for _ in range(4):
        sent = world.turn(passes=0.5)
    assert sent == 7
    assert len(provider.arrivals) == 7
    assert one(world.connection, "SELECT max(attempt) FROM pgsupervise_delivery") == 1, "none was claimed in vain"


def test_who_has_had_enough_for_an_hour_waits_and_everybody_else_goes(world: World) -> None:
    for _ in range(5):
        world.add(PEOPLE[0], "free")
    world.add(PEOPLE[1], "free")
    for _ in range(3):
        world.turn()
    held = world.connection.execute(
        "SELECT recipient, not_before > now() + interval '50 minutes', attempt, error LIKE 'held:%' FROM"
        " pgsupervise_delivery WHERE state IN ('RETRYING', 'PENDING') ORDER BY id"
    ).fetchall()
    assert held[0] == (PEOPLE[0], True, 0, True)
    assert [row[0::2] for row in held] == [(PEOPLE[0], 0)] * 2, "the other one waits behind it, or is held too"
    assert one(world.connection, SENT) == 4


def test_copies_count_as_messages_of_the_hour(world: World) -> None:
    world.add(PEOPLE[0], "free", copies=2)
    world.add(PEOPLE[0], "free")
    world.turn()
    world.turn()
    assert one(world.connection, SENT) == 1
    assert one(world.connection, "SELECT count(*) FROM pgsupervise_delivery WHERE error <> ''") == 1


def test_the_paused_channel_is_left_alone_and_one_message_tries_it(world: World, provider: SendGridServer) -> None:
    for person in PEOPLE:
        world.add(person, "free")
        world.add(person, "counted")
    provider.script(Behaviour(status=401, body='{"errors": [{"message": "Maximum credits exceeded"}]}'))
    assert world.turn() <= 2
    assert "free" not in world.gate.open_channels()
    seen = len(provider.arrivals)
    world.turn()
    assert len(provider.arrivals) == seen
    world.connection.execute("UPDATE pgsupervise_channel SET paused_until = now()")
    world.context.channels.row("free").believe(1e12, paused=True, until=0.0, trial_until=0.0)
    before = one(world.connection, SENT)
    assert world.turn() == before + 1, "one goes on trial"
    assert world.turn() == 3
    assert one(world.connection, "SELECT max(attempt) FROM pgsupervise_delivery") == 1


def test_the_right_to_try_is_given_back_where_the_message_is_not_sent_after_all(world: World) -> None:
    world.add(PEOPLE[0], "free", payload=Jsonb(PAYLOAD | {"undeliverable": "it is no address"}))
    world.connection.execute(
        "INSERT INTO pgsupervise_channel (name, is_held, paused_until, reason, since, by) "
        "VALUES ('free', false, now(), 'quota', now(), 'worker-1')"
    )
    world.context.channels.row("free").believe(1e12, paused=True, until=0.0, trial_until=0.0)
    world.turn()
    assert one(world.connection, "SELECT state FROM pgsupervise_delivery") == "REFUSED"
    assert one(world.connection, "SELECT trial_by FROM pgsupervise_channel") is None, "others may have one"
