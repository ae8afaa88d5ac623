"""The same events give the same digests, however the workers lived: eager, stopped, slow, killed or hindered.

PGSUPERVISE_TEST_EXAMPLES=2000 takes a tenth as many days, at random; without it they are the same in every run, and on
each of the two half of the other lives are compared with the eager one.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, time, timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
import pytest

from pgsupervise.django_app import testing
from pgsupervise.django_app.flush import flush
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Calendar, Cap, Policy, register
from pgsupervise.django_app.preferences import set_preference, set_recipient, set_tenant_preference
from pgsupervise.django_app.testing import advance, freeze
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import Marks
from pgsupervise.supervisor import flushing
from tests.integration.notifying.fragile import Trouble
from tests.integration.notifying.kinds import ENDS, POLICIES, declare
from tests.integration.notifying.machine import BEGIN, EMPTIER
from tests.integration.notifying.model import MINUTE
from tests.integration.notifying.owners import Owners
from tests.integration.ownership.lease_machine import EMPTY
from tests.registries import own_registries

WANTED = os.environ.get("PGSUPERVISE_TEST_EXAMPLES")
DAYS = 2
STEPS, AT_ONCE = 12, 8
RECIPIENTS = ("ann", "bob")
BUCKETS = sorted({bucket_of(recipient) for recipient in RECIPIENTS})
MORE = ["weekly", "capped"]
# What a life may change is when it did something; ids are given in the order of the events and of what is asked for.
BATCHES = """
SELECT b.policy, b.recipient, b.tenant, b.key, b.state, b.opened_at, b.closes_at, b.deliver_at, b.item_count, b.last_at,
    b.reason, b.error
FROM pgsupervise_batch b ORDER BY b.policy, b.recipient, b.tenant, b.key, b.id
"""
MESSAGES = """
SELECT b.policy, b.recipient, b.tenant, b.key, b.opened_at, d.channel, d.payload::text, d.payload->'item_ids'
FROM pgsupervise_delivery d JOIN pgsupervise_batch b ON b.id = d.batch_id
ORDER BY b.policy, b.recipient, b.tenant, b.key, b.id, d.channel
"""
HOLD_EVENTS = """
SELECT id, batch_id FROM pgsupervise_event
WHERE recipient = %s AND state IN ('PENDING', 'FOLDED') ORDER BY md5((id + %s)::text) LIMIT 2 FOR UPDATE
"""
HOLD_BATCHES = "SELECT id FROM pgsupervise_batch WHERE id = ANY(%s) AND state <> 'SEALED' ORDER BY id FOR SHARE"
EVENTS = "SELECT id, state, reason FROM pgsupervise_event WHERE NOT is_flush ORDER BY id"


class Said(NamedTuple):
    """An event, or a wish to flush where there is no data."""

    step: int
    policy: str
    recipient: str
    tenant: str
    actor: str
    data: dict[str, Any] | None


class Life(NamedTuple):
    """When the owners work, in chunks of how many rows, and what befalls them."""

    works_at: Callable[[int], bool]
    chunk: int = 1000
    troubles: Callable[[Owners, int, random.Random], Sequence[Trouble]] = lambda owners, bucket, rand: ()
    is_hindered: bool = False
    """Callers hold rows of a recipient, as who takes something back does, and roll back."""


def killed(owners: Owners, bucket: int, rand: random.Random) -> Sequence[Trouble]:
    """Kill the owner anywhere in the middle, and let another one do some of its work before it is killed as well."""

    def dies() -> None:
        owners.end_session(owners.now[bucket], is_killed=True)

    return [Trouble(rand.randint(1, 8), rand.randint(0, 5), dies)] if rand.random() < 0.7 else []


def stopped(owners: Owners, bucket: int, rand: random.Random) -> Sequence[Trouble]:
    """Let another one do the work while the owner is stopped, which then goes on under its former epoch."""

    def is_stopped() -> None:
        owners.flush(owners.take_over(bucket, is_another=rand.random() < 0.5), depth=1)

    return [Trouble(rand.randint(1, 8), 0, is_stopped)] if rand.random() < 0.7 else []


LIVES = {
    "eager": Life(lambda step: True),
    "stopped until the end": Life(lambda step: False),
    "slow, in small chunks": Life(lambda step: step % 5 == 3, chunk=3),
    "killed and taken over": Life(lambda step: step % 2 == 0, 4, killed),
    "stopped and gone on": Life(lambda step: step % 3 == 0, 4, stopped),
    "hindered by callers": Life(lambda step: step % 3 == 1, 20, is_hindered=True),
}


@pytest.fixture(autouse=True)
def policies(db: str) -> Iterator[None]:
    with own_registries():
        declare()
        register(Policy(name="weekly", window=Calendar("0 9 * * sun"), threaded=True, category="work"))
        register(Policy(name="capped", window=20 * MINUTE, cap=Cap(2, per=timedelta(hours=6)), key="actor"))
        yield
    testing.unfreeze()


def a_day(number: int, rand: random.Random) -> list[Said]:
    """Draw what is said: on each day by every second policy, so that their events meet."""
    chosen = [*POLICIES, *MORE][number % 2 :: 2]
    said: list[Said] = []
    for step in range(STEPS):
        for _ in range(rand.choice([0, AT_ONCE, 2 * AT_ONCE])):
            recipient = rand.choice(RECIPIENTS)
            data = {"page": rand.choice(["", "", "", "page"]), "ends": rand.choice(ENDS), "text": f"no. {len(said)} ✓"}
            is_flush = rand.random() < 0.06
            said.append(
                Said(
                    step,
                    rand.choice(chosen),
                    recipient,
                    rand.choice(["", "", "", "acme"]),
                    rand.choice(["Bob", "Eve", recipient]),
                    None if is_flush else data,
                )
            )
    return said


def wish() -> None:
    """Of Ann everything is stored that there is; of Bob only what his tenant prescribes."""
    set_recipient("ann", time_zone="America/New_York", locale="de", quiet_from=time(20), quiet_until=time(7))
    set_recipient("ann", properties={"every": "PT20M"})
    set_preference("ann", category="social", window=timedelta(minutes=25))
    set_preference("ann", policy="three", window={"sliding": 900, "max": 2400})
    set_preference("ann", tenant="acme", window="0 * * * *", channels=["inbox"])
    set_preference("ann", policy="notes", muted=True)
    set_preference("ann", policy="pairs", window={"at_once": True})
    set_preference("ann", policy="until", muted=True)
    set_tenant_preference("acme", category="work", window={"sliding": 600, "max": 1800})


def tell(said: Said) -> None:
    """Tell it now, by the event clock."""
    if said.data is None:
        flush(policy=said.policy, recipient=said.recipient, tenant=said.tenant)
        return
    data = dict(said.data)
    ends = data.pop("ends")
    if ends is not None:
        now = event_clock()
        data["ends_at"] = (now + timedelta(minutes=ends)).isoformat() if isinstance(ends, int) else ends
    notify(said.policy, said.recipient, data, actor=said.actor, object="Rome", tenant=said.tenant)


def event_clock() -> datetime:
    return advance(timedelta(0))


def live(life: Life, day: Sequence[Said], db: str, control: psycopg.Connection, seed: str) -> dict[str, list[Any]]:
    """Live through a day; return all that became of it."""
    was_hindered = False
    control.execute(EMPTY)
    control.execute(EMPTIER)
    freeze(BEGIN, although_workers_live=True)
    wish()
    owners, rand = Owners(db, control, BUCKETS), random.Random(seed)
    try:
        for step in range(STEPS):
            for said in day:
                if said.step == step:
                    tell(said)
            advance(15 * MINUTE)
            if life.works_at(step):
                for recipient in RECIPIENTS:
                    with hindrance(db, recipient, step) if life.is_hindered else nullcontext():
                        was_hindered |= work(owners, bucket_of(recipient), life, rand)
        advance(timedelta(days=20))
        for bucket in BUCKETS:
            owners.now[bucket].marks = Marks()
            assert owners.flush(owners.now[bucket])
    finally:
        owners.close()
    assert was_hindered == life.is_hindered
    return result(control)


@contextmanager
def hindrance(db: str, recipient: str, number: int) -> Iterator[None]:
    """Hold some events of a recipient and their batches, as a caller that takes them back would."""
    with psycopg.connect(db) as caller:
        batches = [batch for _, batch in caller.execute(HOLD_EVENTS, [recipient, number]) if batch is not None]
        caller.execute(HOLD_BATCHES, [batches])
        yield
        caller.rollback()


def work(owners: Owners, bucket: int, life: Life, rand: random.Random) -> bool:
    """Let a bucket's owner do its work; return whether callers hindered it."""
    owner = owners.now[bucket]
    if rand.random() < 0.5:
        owner.marks = Marks()
    rounds = count()
    # A slow one has time for some transactions only.
    owners.flush(owner, life.troubles(owners, bucket, rand), may_go_on=lambda: life.chunk > 4 or next(rounds) < 8)
    return bool(owner.marks.left)


def result(control: psycopg.Connection) -> dict[str, list[Any]]:
    """Return everything but numbers of rows; of the events that are shown, which these are."""
    events = control.execute(EVENTS).fetchall()
    order = {id_: number for number, (id_, _, _) in enumerate(events)}
    messages = []
    for *batch, payload, ids in control.execute(MESSAGES):
        rest = {word: value for word, value in json.loads(payload).items() if word != "item_ids"}
        messages.append((*batch, json.dumps(rest), [order[id_] for id_ in ids]))
    return {
        "events": [row[1:] for row in events],
        "batches": control.execute(BATCHES).fetchall(),
        "messages": messages,
    }


@pytest.mark.parametrize("seed", range(int(WANTED) // 10 if WANTED else DAYS))
def test_the_same_events_give_the_same_digests_however_the_workers_lived(
    db: str, connect: Callable[[], psycopg.Connection], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chosen = f"{seed} {random.random() if WANTED else ''}"
    control, day = connect(), a_day(seed, random.Random(chosen))
    results = {}
    names = list(LIVES) if WANTED else ["eager", *list(LIVES)[1 + seed % 2 :: 2]]
    for name in names:
        life = LIVES[name]
        monkeypatch.setattr(flushing, "FOLD_CHUNK", life.chunk)
        monkeypatch.setattr(flushing, "SEAL_CHUNK", life.chunk)
        results[name] = live(life, day, db, control, chosen)
    expected = results.pop("eager")
    assert len(expected["messages"]) > 10
    assert {state for state, _ in expected["events"]} <= {"FOLDED", "FILTERED"}
    for name, found in results.items():
        for what, rows in expected.items():
            assert found[what] == rows, f"{name}: other {what}, seed {chosen}"
