"""Deliveries that wait are walked over by nothing until their time has come, however many they are."""

from collections.abc import Callable, Iterator
from datetime import time, timedelta
from itertools import count, islice
from typing import Any

import psycopg
import pytest

from pgsupervise.django_app.policies import Cap
from pgsupervise.django_app.preferences import set_recipient
from pgsupervise.partitions import deliveries, events
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import DeliveryState
from tests.integration.plans import plan_of, rows_read
from tests.integration.test_notification_rows import ADA, BUCKET, NOON
from tests.integration.test_query_plans_events import VALUES
from tests.integration.wishing import HOUR, Wishing, policy
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
TABLE = "pgsupervise_delivery"
PROMOTIONS = ("promote_waiting_deliveries", "promote_retrying_deliveries")
MANY = 3000
BOB, CID, DAN = islice((name for i in count() if bucket_of(name := f"user{i}") == BUCKET), 3)
# Bob has many that wait for him, Cid has many that are to be tried again, Dan has none.
FILL = """
INSERT INTO pgsupervise_delivery (id, bucket, batch_id, policy, recipient, channel, payload, state, not_before)
SELECT i, %(bucket)s, i, 'p', CASE WHEN i %% 2 = 0 THEN %(bob)s ELSE %(cid)s END, 'sendgrid', '{}',
    CASE WHEN i %% 2 = 0 THEN 'WAITING' ELSE 'RETRYING' END, now() + interval '1 day'
FROM generate_series(1, 2 * %(many)s) i;
INSERT INTO pgsupervise_delivery (id, bucket, batch_id, policy, recipient, channel, payload)
SELECT number, %(bucket)s, number, policy, recipient, 'sendgrid', '{}'
FROM (VALUES (90001, %(bob)s, 'p'), (90002, %(bob)s, 'q'), (90003, %(cid)s, 'q'), (90004, %(dan)s, 'p'))
    AS pending (number, recipient, policy);
UPDATE pgsupervise_lease SET owner_id = %(owner)s, epoch = 1 WHERE bucket >= 0;
"""


@pytest.fixture
def asleep(dsn: str) -> Iterator[psycopg.Connection]:
    """Fill a bucket inside a transaction that is never committed."""
    with psycopg.connect(dsn) as connection:
        whom = {"bob": BOB, "cid": CID, "dan": DAN}
        client = psycopg.ClientCursor(connection)
        client.execute(FILL, {**whom, "bucket": BUCKET, "many": MANY, "owner": VALUES["owner"]})
        yield connection
        connection.rollback()


def test_what_waits_is_not_walked_over(asleep: psycopg.Connection) -> None:
    asleep.execute("ANALYZE pgsupervise_delivery")
    for name in ("probe_notifications", *PROMOTIONS, "claim_deliveries"):
        # The look at a recipient's last hour is bounded by itself, and left out here.
        values = VALUES | {"buckets": f"{{{BUCKET}}}", "frequent_at": 0}
        plan = plan_of(asleep, name, values, analyze=True)
        # Each of the four that are pending is looked at, and so is what stands in its way; two are found again by key.
        assert rows_read(plan, TABLE) <= 4 + 4 + 2, name
    claimed = asleep.execute("SELECT id FROM pgsupervise_delivery WHERE state = 'SENDING' ORDER BY id").fetchall()
    assert claimed == [(90002,), (90004,)], "the others stand behind what waits"


@pytest.mark.parametrize(("name", "most"), [("gauge_pending_deliveries", 10), ("gauge_waiting_deliveries", 202)])
def test_the_gauges_look_at_so_many_and_no_more(asleep: psycopg.Connection, name: str, most: int) -> None:
    asleep.execute(load("gauge_limits"), {"timeout_ms": 30_000})
    explained = asleep.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {load(name)}".encode(), {"cap": 100}).fetchone()
    assert explained
    assert 0 < rows_read(explained[0][0]["Plan"], TABLE) <= most  # averages of 256 looks, in hundredths


@pytest.fixture
def wishing(connect: Connect) -> Iterator[Wishing]:
    with own_registries():
        policy("news")
        policy("capped", cap=Cap(1, per=timedelta(days=1)))
        yield Wishing(connect)


def probed(wishing: Wishing) -> tuple[bool, bool, bool]:
    marks = {BUCKET: Marks()}
    channels: dict[str, Any] = {"safe": ["inbox"], "unsafe": ["sendgrid"]}
    probes = events.probe_notifications(wishing.connection, wishing.owner, marks, policies=[], **channels)
    return next(((probe.safe, probe.unsafe, probe.ripe) for probe in probes), (False, False, False))


def states(wishing: Wishing) -> list[Any]:
    return wishing.rows("SELECT state FROM pgsupervise_delivery ORDER BY id")


def test_a_digest_that_is_too_early_waits_apart_and_is_found_when_its_time_has_come(wishing: Wishing) -> None:
    set_recipient(ADA, quiet_from=time(12), quiet_until=time(15))
    wishing.event("news")
    wishing.flush(NOON + HOUR)
    assert states(wishing) == ["WAITING", "WAITING"]
    assert probed(wishing) == (False, False, False)
    wishing.clock(NOON + 3 * HOUR)
    assert probed(wishing) == (False, False, True)
    assert len(wishing.claim()) == 2


def test_what_is_tried_again_waits_by_the_real_clock_and_holds_back_what_is_behind_it(wishing: Wishing) -> None:
    wishing.event("news"), wishing.event("capped")
    wishing.flush(NOON + HOUR)
    first, *others = wishing.claim()
    failed = [SentDelivery(first, DeliveryState.RETRYING, error="503", delay=HOUR)]
    failed += [SentDelivery(other, DeliveryState.PENDING) for other in others]
    deliveries.finish_deliveries(wishing.connection, wishing.owner, {(BUCKET, wishing.epochs[BUCKET]): failed})
    assert sorted(states(wishing)) == ["PENDING", "PENDING", "PENDING", "RETRYING"]
    wishing.clock(NOON + timedelta(days=36500))
    assert probed(wishing) == (True, True, False), "however far the event clock is ahead"
    assert {delivery.channel for delivery in wishing.claim()} == {"inbox", "sendgrid"} - {first.channel}
    wishing.connection.execute("UPDATE pgsupervise_delivery SET not_before = now() WHERE state = 'RETRYING'")
    assert probed(wishing)[2]
    assert [delivery.policy for delivery in wishing.claim()] == ["news", "capped"], "in order"


def test_a_worker_of_before_has_left_one_that_is_pending_too_early_and_it_is_not_sent(wishing: Wishing) -> None:
    wishing.event("news")
    wishing.flush(NOON + HOUR)
    wishing.clock(NOON)
    wishing.connection.execute("UPDATE pgsupervise_delivery SET not_before = now() + interval '1 hour'")
    assert probed(wishing) == (False, False, False)
    assert wishing.claim() == []


def test_who_is_no_longer_the_owner_wakes_nothing(wishing: Wishing) -> None:
    wishing.event("capped", NOON), wishing.event("capped", NOON + 2 * HOUR)
    wishing.flush(NOON + 4 * HOUR)
    wishing.clock(NOON + timedelta(days=9))
    deliveries.promote_deliveries(wishing.connection, wishing.owner, BUCKET, wishing.epochs[BUCKET] - 1)
    assert states(wishing) == ["PENDING", "PENDING", "WAITING", "WAITING"]
    deliveries.promote_deliveries(wishing.connection, wishing.owner, BUCKET, wishing.epochs[BUCKET])
    assert states(wishing) == ["PENDING"] * 4
