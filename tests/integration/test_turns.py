"""Fair shares: a tenant with thousands due, or to be sent, keeps no other one's few, and nothing is lost or doubled."""

import math
import queue
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count, islice
from types import SimpleNamespace
from typing import cast
from unittest.mock import MagicMock

import psycopg
import pytest

from pgsupervise.partitions import turns
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.rows import ClaimedDelivery, DueBatch, NewDelivery
from pgsupervise.partitions.statements import load
from pgsupervise.supervisor import flushing
from pgsupervise.supervisor import turns as supervisor_turns
from pgsupervise.supervisor.claiming import Wanted
from pgsupervise.supervisor.context import WorkerContext
from pgsupervise.supervisor.dispatcher import Dispatcher
from pgsupervise.supervisor.flushing import Flushing
from pgsupervise.supervisor.link import Link
from pgsupervise.supervisor.mark_book import MarkBook
from pgsupervise.supervisor.outcomes import Accepted, SendOutcome
from pgsupervise.supervisor.project import ChannelSpec, Project
from pgsupervise.supervisor.senders import Senders
from tests.integration.test_flushing import PROJECT
from tests.integration.test_notification_rows import BUCKET, NOON
from tests.integration.world import owner_of

Connect = Callable[[], psycopg.Connection]
SECOND = timedelta(seconds=1)


@cache
def names(prefix: str, amount: int) -> list[str]:
    """Return recipients of one bucket."""
    return list(islice((name for n in count() if bucket_of(name := f"{prefix}{n}@example.com") == BUCKET), amount))


class Channel:
    """A provider that takes everything, and writes down what."""

    sent: queue.SimpleQueue[ClaimedDelivery] = queue.SimpleQueue()

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        self.sent.put(delivery)
        return Accepted()


def project() -> Project:
    def render(batch: DueBatch) -> list[NewDelivery]:
        return [NewDelivery("mail", {"batch": batch.id})]

    return replace(PROJECT, render=render, channels={"mail": ChannelSpec(build=Channel)})


class Owner:
    """The owner of a bucket, which seals and sends what the tests put there."""

    def __init__(self, connect: Connect) -> None:
        self.connection = connect()
        self.owner, self.epochs = owner_of(self.connection, BUCKET)
        self.marks = MarkBook()
        self.project = project()
        Channel.sent = queue.SimpleQueue()

    def due(self, rows: Sequence[tuple[str, str, datetime]]) -> None:
        """Put batches of one event there, of tenants and recipients, whose time has come."""
        tenants, recipients, times = map(list, zip(*rows, strict=True))
        self.connection.execute(
            """INSERT INTO pgsupervise_batch (bucket, policy, recipient, tenant, key, state, opened_at, closes_at,
                deliver_at, item_count)
            SELECT %s, 'p', recipient, tenant, number,
                CASE number %% 2 WHEN 0 THEN 'OPEN' ELSE 'CLOSED' END, at, at, at, 1
            FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) WITH ORDINALITY
                AS new (tenant, recipient, at, number)
            ORDER BY number""",
            [BUCKET, tenants, recipients, times],
        )
        self.connection.execute(
            """INSERT INTO pgsupervise_event (bucket, policy, recipient, tenant, state, batch_id, occurred_at)
            SELECT bucket, policy, recipient, tenant, 'FOLDED', id, deliver_at FROM pgsupervise_batch"""
        )

    def seal(self, seconds: float, marks: Marks) -> bool:
        """Have a turn of sealing; return whether it is unfinished."""
        turn = Flushing(
            self.project,
            self.connection,
            owner=self.owner,
            bucket=BUCKET,
            epoch=self.epochs[BUCKET],
            marks=marks,
        )
        turn.run(due=True, may_go_on=lambda: True, seconds=seconds)
        return turn.is_unfinished

    def sealed(self) -> list[tuple[str, str, datetime]]:
        """Return tenant, recipient and time of what was sealed, in order."""
        rows = self.connection.execute(
            """SELECT d.tenant, d.recipient, b.deliver_at FROM pgsupervise_delivery d
            JOIN pgsupervise_batch b ON b.id = d.batch_id AND b.tenant = d.tenant ORDER BY d.id"""
        )
        return list(rows)

    def rounds(self, per_round: int, most: int, *, ripe: bool = False) -> Iterator[list[ClaimedDelivery]]:
        """Claim and send until nothing is left, or for so many rounds; yield what was sent in each."""
        context = MagicMock(id=self.owner, project=self.project, sending=0)
        context.draining.is_set.return_value = context.holding.is_set.return_value = False
        link = cast(Link, SimpleNamespace(connection=self.connection))
        senders = Senders(self.project, 2, lambda: True)
        bench = MagicMock()
        dispatcher = Dispatcher(cast(WorkerContext, context), link, senders, self.marks, bench)
        try:
            for _ in range(most):
                senders.reach = lambda: per_round  # type: ignore[method-assign]
                dispatcher.want(Wanted(BUCKET, self.epochs[BUCKET], safe=False, unsafe=True, ripe=ripe))
                dispatcher.dispatch()
                if not dispatcher.held:
                    return
                while dispatcher.held:
                    dispatcher.write_answers(at_once=True)
                yield [Channel.sent.get_nowait() for _ in range(Channel.sent.qsize())]
        finally:
            senders.stop()


@pytest.fixture
def owner(connect: Connect) -> Owner:
    return Owner(connect)


def tenants(owner: Owner, sent: list[ClaimedDelivery]) -> list[str]:
    rows = owner.connection.execute(
        "SELECT tenant FROM pgsupervise_delivery WHERE id = ANY(%s) ORDER BY id", [[each.id for each in sent]]
    )
    return [tenant for (tenant,) in rows]


def test_one_digest_of_a_tenant_is_sealed_with_the_first_of_thousands_of_another_one(owner: Owner) -> None:
    large = [("large", name, NOON + number * SECOND) for number, name in enumerate(names("many", 2500))]
    few = zip(["small", "tiny", ""], names("few", 3), [NOON + 9999 * SECOND] * 3, strict=True)
    owner.due([*large, *few])
    marks = Marks()
    assert owner.seal(0.0, marks), "after a chunk it is another bucket's turn"
    first = owner.sealed()
    assert [tenant for tenant, _, _ in first] == ["large"] * 1000 + ["", "small", "tiny"]
    while owner.seal(0.0, marks):
        pass
    assert len(owner.sealed()) == len({recipient for _, recipient, _ in owner.sealed()}) == 2503
    assert [at for tenant, _, at in owner.sealed() if tenant == "large"] == [
        NOON + number * SECOND for number in range(2500)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_however_tenants_are_mixed_each_is_sealed_once_and_a_recipients_in_order(
    owner: Owner, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "SEAL_CHUNK", 3)
    monkeypatch.setattr(flushing, "BESIDE", 2)
    chance = random.Random(seed)
    people = names("r", 4)
    owner.due(
        [
            (chance.choice(["", "a", "a", "a", "b", "c", "d", "e"]), chance.choice(people), NOON + number * SECOND)
            for number in chance.sample(range(60), 60)
        ]
    )
    marks = Marks()
    while owner.seal(0.0, marks):
        marks = Marks(turns=marks.turns) if chance.random() < 0.3 else marks
    times = defaultdict(list)
    for _, recipient, at in owner.sealed():
        times[recipient].append(at)
    assert sum(map(len, times.values())) == 60
    for recipient, found in times.items():
        assert found == sorted(found), recipient


def fill(owner: Owner, rows: list[tuple[str, str]]) -> None:
    """Put deliveries there, of tenants and recipients."""
    owner.connection.execute(
        """INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, tenant, channel, payload)
        SELECT %s, number, 'p', recipient, tenant, 'mail', '{}'
        FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS new (tenant, recipient, number) ORDER BY number""",
        [BUCKET, [tenant for tenant, _ in rows], [recipient for _, recipient in rows]],
    )


def test_one_message_of_a_tenant_is_sent_in_the_first_round_before_thousands_of_another_one(owner: Owner) -> None:
    large = [("large", name) for name in names("many", 2500)]
    fill(owner, [*large, *zip(["small", ""], names("few", 2), strict=True)])
    first, second = owner.rounds(10, most=2)
    assert sorted(tenants(owner, first)) == ["", *["large"] * 10, "small"]
    assert tenants(owner, second) == ["large"] * 8, "what went beside the front is made up for"


@pytest.mark.parametrize("seed", range(4))
def test_however_tenants_are_mixed_each_message_is_sent_once_and_a_recipients_in_order(
    owner: Owner, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    people = names("r", 12)
    choices = ["a"] * 20 + ["", "b", "c", "d", "e", "f"]
    fill(owner, [(chance.choice(choices), chance.choice(people)) for _ in range(150)])
    sent = [each for found in owner.rounds(4, most=1000) for each in found]
    assert sorted(each.id for each in sent) == list(range(1, 151))
    for person in people:
        theirs = [each.id for each in sent if each.recipient == person]
        assert theirs == sorted(theirs)


def test_more_tenants_than_there_is_room_for_come_one_after_the_other(owner: Owner) -> None:
    large = [("large", name) for name in names("many", 400)]
    few = [(f"small{number:02}", name) for number, name in enumerate(names("few", 20))]
    fill(owner, large + few)
    seen: list[str] = []
    for sent in owner.rounds(8, most=6):
        assert len(sent) <= 8 + 4
        seen += [tenant for tenant in tenants(owner, sent) if tenant != "large"]
    assert seen == [tenant for tenant, _ in few], "in six rounds of some fifty"


def test_tenants_of_whom_nothing_may_go_keep_no_other_ones_turn(owner: Owner) -> None:
    large = [("large", name) for name in names("many", 400)]
    few = names("few", 100)
    queued = [(f"queue{number}", name) for number in range(3) for name in few[number * 30 : number * 30 + 30]]
    fill(owner, [*large, *[("blocked", few[98])] * 5, *queued, ("small", few[99])])
    owner.connection.execute(
        """UPDATE pgsupervise_delivery SET state = 'RETRYING', not_before = now() + interval '1 hour'
        WHERE id = (SELECT min(id) FROM pgsupervise_delivery WHERE tenant = 'blocked')"""
    )
    assert "small" in [tenant for sent in owner.rounds(8, most=4) for tenant in tenants(owner, sent)]


def test_batches_that_stand_behind_others_keep_no_other_tenants_turn(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "SEAL_CHUNK", 3)
    monkeypatch.setattr(flushing, "BESIDE", 2)
    many, few = names("many", 40), names("few", 40)
    late = NOON + 9999 * SECOND
    owner.due(
        [
            *[("large", name, NOON + number * SECOND) for number, name in enumerate(many)],
            *[("blocked", many[-1], late)] * 2,
            *[("queue", name, late) for name in few[:30]],
            ("small", few[39], late),
        ]
    )
    marks = Marks()
    for _ in range(4):
        assert owner.seal(0.0, marks)
    assert "small" in [tenant for tenant, _, _ in owner.sealed()]


def test_who_has_no_tenants_pays_for_one_look_a_second(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(owner, [("", name) for name in names("many", 60)])
    monkeypatch.setattr(supervisor_turns, "LOOK_SECONDS", math.inf)
    executed: list[str] = []

    def counted(name: str) -> str:
        executed.append(name)
        return load(name)

    monkeypatch.setattr(turns, "load", counted)
    assert sum(len(sent) for sent in owner.rounds(4, most=100)) == 60
    assert executed == ["tenants_waiting"]
