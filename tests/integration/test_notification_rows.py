"""Folding, sealing and the delivery ledger against the tables, each write fenced by the lease's epoch."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from pgsupervise.partitions import arrays, batches, deliveries, events, leases, reclaim, workers
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.deliveries import DeliveryClaim, SentDelivery
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.events import Folding
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.rows import ClaimedDelivery, DueBatch, Item, NewDelivery, Reduced
from pgsupervise.partitions.states import DeliveryState, Reason
from pgsupervise.partitions.windows import WindowRule
from tests.integration.world import one, owner_of

Connect = Callable[[], psycopg.Connection]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = "ada@example.com"
BUCKET = bucket_of(ADA)
RULE = WindowRule(window=HOUR)


def add_event(connection: psycopg.Connection, at: datetime, *, policy: str = "p", recipient: str = ADA) -> int:
    statement = """INSERT INTO pgsupervise_event (bucket, policy, recipient, occurred_at, data)
        VALUES (%s, %s, %s, %s, '{"n": 1}') RETURNING id"""
    row = connection.execute(statement, [bucket_of(recipient), policy, recipient, at]).fetchone()
    assert row
    number: int = row[0]
    return number


def fold(
    connection: psycopg.Connection, owner: UUID, epoch: int, limit: int = 100, rule: WindowRule = RULE
) -> list[int]:
    folded = events.fold_events(
        connection,
        bucket=BUCKET,
        owner=owner,
        epoch=epoch,
        folding=Folding(lambda policy, person: rule, ["p"]),
        limit=limit,
    )
    return [event.id for event in folded.events]


def readable(due: list[DueBatch | batches.UnreadableBatch]) -> list[DueBatch]:
    found = [batch for batch in due if isinstance(batch, DueBatch)]
    assert len(found) == len(due)
    return found


def due_now(connection: psycopg.Connection) -> list[DueBatch | batches.UnreadableBatch]:
    return batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + 100 * HOUR).batches


def seal(connection: psycopg.Connection, owner: UUID, epoch: int, clock: datetime) -> list[int]:
    due = readable(batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=clock).batches)
    rendered = [(batch, [NewDelivery("inbox", {"ids": [item.id for item in batch.items]})]) for batch in due]
    batches.seal_batches(connection, bucket=BUCKET, owner=owner, epoch=epoch, rendered=rendered)
    return [batch.id for batch in due]


def send(connection: psycopg.Connection, owner: UUID, epoch: int, limit: int = 10) -> list[ClaimedDelivery]:
    (claimed,) = deliveries.claim_deliveries(connection, owner, [DeliveryClaim(BUCKET, epoch, ["inbox"], limit)])
    return claimed


def finish(
    connection: psycopg.Connection, owner: UUID, epoch: int, delivery: ClaimedDelivery, state: DeliveryState
) -> set[int]:
    return deliveries.finish_deliveries(connection, owner, {(BUCKET, epoch): [SentDelivery(delivery, state)]})


def digests(connection: psycopg.Connection, owner: UUID, epoch: int, count: int) -> None:
    """Make `count` deliveries, one for each of so many hours."""
    for hour in range(count):
        add_event(connection, NOON + hour * HOUR)
    fold(connection, owner, epoch)
    assert len(seal(connection, owner, epoch, NOON + 100 * HOUR)) == count


def test_events_are_folded_in_order_of_time_whatever_the_order_of_their_rows(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    later, earlier = add_event(connection, NOON + HOUR / 2), add_event(connection, NOON)
    assert fold(connection, owner, epochs[BUCKET]) == [earlier, later]
    row = one(connection, "SELECT opened_at, closes_at, item_count, state FROM pgsupervise_batch")
    assert row == (NOON, NOON + HOUR, 2, "OPEN")


def test_folding_piece_by_piece_gives_what_folding_at_once_gives(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    for minute in range(0, 300, 7):
        add_event(connection, NOON + timedelta(minutes=minute))
    while fold(connection, owner, epochs[BUCKET], limit=4):
        pass
    rows = connection.execute("SELECT item_count, state FROM pgsupervise_batch ORDER BY opened_at").fetchall()
    assert rows == [(9, "CLOSED"), (9, "CLOSED"), (9, "CLOSED"), (9, "CLOSED"), (7, "OPEN")]


def everything(connection: psycopg.Connection) -> list[Any]:
    tables = ("pgsupervise_event", "pgsupervise_batch", "pgsupervise_delivery")
    query = sql.SQL("SELECT * FROM {} ORDER BY id")
    return [connection.execute(query.format(sql.Identifier(table))).fetchall() for table in tables]


def test_a_former_owner_changes_nothing(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    former, now = epochs[BUCKET] - 1, epochs[BUCKET]

    def refused(write: Callable[[], object]) -> None:
        before = everything(connection)
        with pytest.raises(LeaseLostError):
            write()
        assert everything(connection) == before

    def add_flush(at: datetime) -> None:
        flush = add_event(connection, at)
        connection.execute("UPDATE pgsupervise_event SET is_flush = true WHERE id = %s", [flush])

    add_flush(NOON)  # it finds nothing to close
    refused(lambda: fold(connection, owner, former))
    add_event(connection, NOON)
    refused(lambda: fold(connection, owner, former))
    assert len(fold(connection, owner, now)) == 2
    add_flush(NOON + timedelta(minutes=1))  # it closes the batch, and puts nothing into it
    refused(lambda: fold(connection, owner, former))
    (batch,) = readable(due_now(connection))
    told = Reduced([NewDelivery("inbox", {})], batch.item_ids[:1], Reason.MUTED)
    lease: dict[str, Any] = {"bucket": BUCKET, "owner": owner, "epoch": former}
    refused(lambda: batches.seal_batches(connection, **lease, rendered=[(batch, told)]))
    refused(lambda: batches.postpone_batches(connection, **lease, errors=[(batch.id, "x")], until=NOON))
    assert batches.seal_batches(connection, **{**lease, "epoch": now}, rendered=[(batch, told)]) == 1


def test_a_former_owner_promotes_nothing(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 2)
    connection.execute("UPDATE pgsupervise_delivery SET state = CASE id % 2 WHEN 0 THEN 'WAITING' ELSE 'RETRYING' END")
    before = everything(connection)
    ripe = DeliveryClaim(BUCKET, epochs[BUCKET] - 1, ["inbox"], 10, ripe=True)
    assert deliveries.claim_deliveries(connection, owner, [ripe]) == [[]]
    assert everything(connection) == before
    (claimed,) = deliveries.claim_deliveries(connection, owner, [ripe._replace(epoch=epochs[BUCKET])])
    assert len(claimed) == 2


def test_an_unknown_policy_is_left_for_newer_code(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    add_event(connection, NOON, policy="of tomorrow")
    assert fold(connection, owner, epochs[BUCKET]) == []
    assert events.unknown_policies(connection, owner, ["p"]) == [("of tomorrow", 1)]
    marks = {BUCKET: Marks()}
    assert events.probe_notifications(connection, owner, marks, policies=["p"], safe=["inbox"], unsafe=[]) == []


def test_a_batch_is_sealed_once_with_its_items_in_order(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    second, first = add_event(connection, NOON + HOUR / 4), add_event(connection, NOON)
    fold(connection, owner, epochs[BUCKET])
    assert seal(connection, owner, epochs[BUCKET], NOON + HOUR / 2) == [], "its time has not come"
    assert len(seal(connection, owner, epochs[BUCKET], NOON + HOUR)) == 1
    assert seal(connection, owner, epochs[BUCKET], NOON + HOUR) == []
    assert one(connection, "SELECT payload FROM pgsupervise_delivery") == {"ids": [first, second]}


def test_a_late_event_opens_a_batch_of_its_own_and_is_sent_once(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 1)
    late = add_event(connection, NOON + HOUR / 2)
    fold(connection, owner, epochs[BUCKET])
    assert len(seal(connection, owner, epochs[BUCKET], NOON + 9 * HOUR)) == 1
    payloads = [row[0]["ids"] for row in connection.execute("SELECT payload FROM pgsupervise_delivery ORDER BY id")]
    assert payloads[1] == [late]
    assert late not in payloads[0]


def test_a_batch_that_cannot_be_rendered_waits_with_its_error(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    add_event(connection, NOON)
    fold(connection, owner, epochs[BUCKET])
    (due,) = batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + HOUR).batches
    batches.postpone_batches(
        connection,
        bucket=BUCKET,
        owner=owner,
        epoch=epochs[BUCKET],
        errors=[(due.id, "TemplateSyntaxError")],
        until=NOON + 2 * HOUR,
    )
    assert batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + HOUR).batches == []
    assert one(connection, "SELECT error FROM pgsupervise_batch") == "TemplateSyntaxError"
    assert len(seal(connection, owner, epochs[BUCKET], NOON + 2 * HOUR)) == 1
    assert one(connection, "SELECT error FROM pgsupervise_batch") == ""


def test_a_due_batch_has_its_items_as_they_were_stored(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    second, first = add_event(connection, NOON + HOUR / 4), add_event(connection, NOON)
    connection.execute("UPDATE pgsupervise_event SET actor = 'a', object = 'ö', data = '{\"k\": [1.5, null, \"ü\"]}'")
    fold(connection, owner, epochs[BUCKET])
    (due,) = readable(due_now(connection))
    assert (due.bucket, due.policy, due.recipient, due.key) == (BUCKET, "p", ADA, "")
    assert (due.opened_at, due.closes_at) == (NOON, NOON + HOUR)
    data = {"k": [1.5, None, "ü"]}
    assert due.items == (Item(first, NOON, "p", "a", "ö", data), Item(second, NOON + HOUR / 4, "p", "a", "ö", data))


def test_a_batch_beyond_any_measure_stops_no_other(connect: Connect) -> None:
    """300 events that are allowed one by one are more than one jsonb value can hold."""
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    connection.execute(
        """INSERT INTO pgsupervise_event (bucket, policy, recipient, occurred_at, data)
        SELECT %s, 'p', %s, %s, jsonb_build_object('text', repeat('x', 950000)) FROM generate_series(1, 300)""",
        [BUCKET, ADA, NOON],
    )
    other = add_event(connection, NOON + 3 * HOUR)
    fold(connection, owner, epochs[BUCKET], limit=1000)
    large, small = due_now(connection)
    assert isinstance(large, batches.UnreadableBatch)
    assert "300 items of 285" in str(large.error)
    assert isinstance(small, DueBatch)
    assert [item.id for item in small.items] == [other]


@pytest.mark.parametrize("data", ['{"n": 1e5000}', '{"n": ' + "[" * 2000 + "]" * 2000 + "}"], ids=["long", "deep"])
def test_a_batch_that_python_cannot_decode_stops_no_other(connect: Connect, data: str) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    bad, good = add_event(connection, NOON), add_event(connection, NOON + 3 * HOUR)
    connection.execute("UPDATE pgsupervise_event SET data = %s::jsonb WHERE id = %s", [data, bad])
    fold(connection, owner, epochs[BUCKET])
    undecodable, fine = due_now(connection)
    assert isinstance(undecodable, batches.UnreadableBatch)
    assert isinstance(fine, DueBatch)
    assert [item.id for item in fine.items] == [good]
    errors = [(undecodable.id, str(undecodable.error))]
    batches.postpone_batches(
        connection, bucket=BUCKET, owner=owner, epoch=epochs[BUCKET], errors=errors, until=NOON + 200 * HOUR
    )
    assert due_now(connection) == [fine]


@pytest.mark.parametrize(
    ("bound", "value", "read"),
    [("MOST_ITEMS_AT_ONCE", 4, 2), ("MOST_ITEMS_AT_ONCE", 1, 1), ("MOST_BYTES_AT_ONCE", 48, 3)],
)
def test_the_items_read_at_once_are_bounded_but_for_the_first_batch(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, read: int
) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    for hour in range(5):
        for _ in range(2):
            add_event(connection, NOON + hour * HOUR)  # of 8 bytes
    fold(connection, owner, epochs[BUCKET])
    monkeypatch.setattr(batches, bound, value)
    due = batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + 100 * HOUR)
    found = [(batch.opened_at, len(batch.items)) for batch in readable(due.batches)]
    assert found == [(NOON + hour * HOUR, 2) for hour in range(read)]
    assert due.more


@pytest.mark.parametrize("by", [timedelta(minutes=4), timedelta(days=800, microseconds=1)])
def test_a_batch_keeps_how_later_events_move_its_end(connect: Connect, by: timedelta) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    add_event(connection, NOON)
    opened_with = WindowRule(window=by, sliding_max=2 * by)
    fold(connection, owner, epochs[BUCKET], rule=opened_with)
    columns = "SELECT closes_at, slides_by, slides_until FROM pgsupervise_batch"
    assert one(connection, columns) == (NOON + by, by, NOON + 2 * by)
    add_event(connection, NOON + timedelta(minutes=3))
    fold(connection, owner, epochs[BUCKET], rule=RULE)
    assert one(connection, columns) == (NOON + timedelta(minutes=3) + by, by, NOON + 2 * by)


@pytest.mark.parametrize("last", [21, -90], ids=["of the future too", "of the past"])
def test_a_batch_that_is_closed_early_does_not_overtake_its_keys_former_one_however_events_are_cut_into_folds(
    connect: Connect, last: int
) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    now = one(connection, "SELECT now()")
    pairs = WindowRule(window=timedelta(minutes=10), flush_at=2)
    for minutes in (1, 20, last):  # the second closes what the first has opened, which is not due yet
        add_event(connection, now + timedelta(hours=1, minutes=minutes))
        fold(connection, owner, epochs[BUCKET], rule=pairs)
    rows = connection.execute("SELECT item_count, deliver_at FROM pgsupervise_batch ORDER BY id").fetchall()
    due = now + timedelta(hours=1, minutes=11)
    assert rows == [(1, due), (2, due)], "they are sealed in order"


def test_a_recipients_digests_go_out_in_order(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 3)
    (first,) = send(connection, owner, epochs[BUCKET], limit=1)
    assert send(connection, owner, epochs[BUCKET]) == [], "the first one is under way"
    again = SentDelivery(first, DeliveryState.RETRYING, error="503", delay=timedelta(hours=1), burnt=False)
    deliveries.finish_deliveries(connection, owner, {(BUCKET, epochs[BUCKET]): [again]})
    assert send(connection, owner, epochs[BUCKET]) == [], "the first one waits for its retry"
    row = one(connection, "SELECT attempt, error FROM pgsupervise_delivery WHERE id = %s", first.id)
    assert row == (0, "503")
    connection.execute("UPDATE pgsupervise_delivery SET not_before = now() WHERE id = %s", [first.id])
    ripe = DeliveryClaim(BUCKET, epochs[BUCKET], ["inbox"], 10, ripe=True)
    (claimed,) = deliveries.claim_deliveries(connection, owner, [ripe])
    assert [delivery.id for delivery in claimed] == [first.id, first.id + 1, first.id + 2]


def test_what_lies_below_the_mark_holds_back_what_is_behind_it(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 2)
    (first,) = send(connection, owner, epochs[BUCKET], limit=1)
    again = SentDelivery(first, DeliveryState.PENDING, error="503", burnt=False)
    deliveries.finish_deliveries(connection, owner, {(BUCKET, epochs[BUCKET]): [again]})
    claim = DeliveryClaim(BUCKET, epochs[BUCKET], ["inbox"], 10)
    behind = claim._replace(after=first.id)
    assert deliveries.claim_deliveries(connection, owner, [behind]) == [[]], "the first one must go first"
    (claimed,) = deliveries.claim_deliveries(connection, owner, [claim])
    assert [delivery.id for delivery in claimed] == [first.id, first.id + 1]


def test_the_seal_accepts_what_needs_no_call(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    add_event(connection, NOON)
    fold(connection, owner, epochs[BUCKET])
    rendered = [(batch, [NewDelivery("null", {}), NewDelivery("inbox", {})]) for batch in readable(due_now(connection))]
    fence: dict[str, Any] = {"bucket": BUCKET, "owner": owner, "epoch": epochs[BUCKET]}
    assert batches.seal_batches(connection, **fence, rendered=rendered, without_call=["null"]) == 1
    assert batches.seal_batches(connection, **fence, rendered=rendered, without_call=["null"]) == 0, "once"
    rows = connection.execute("SELECT channel, state, finished_at IS NULL FROM pgsupervise_delivery ORDER BY id")
    assert rows.fetchall() == [("null", "ACCEPTED", False), ("inbox", "PENDING", True)]


def test_arrays_arrive_as_they_were_whatever_is_in_them(connect: Connect) -> None:
    hostile = ["", "NULL", "null", "{}", ",", "a b", '"', "\\", '\\"', "ü\n\t'", '{"a": ["\\\\"]}', "%s"]
    statement = "SELECT %s::text[], %s::bigint[], %s::timestamptz[] = %s"
    numbers, times = [-1, 2**62], [NOON, NOON - timedelta(microseconds=1)]
    row = one(connect(), statement, arrays.texts(hostile), arrays.numbers(numbers), arrays.times(times), times)
    assert row == (hostile, numbers, True)
    assert one(connect(), "SELECT %s::text[]", arrays.texts([])) == []


def test_a_delivery_is_finished_once_and_only_under_token_and_epoch(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 1)
    (claimed,) = send(connection, owner, epochs[BUCKET])
    assert finish(connection, owner, epochs[BUCKET] - 1, claimed, DeliveryState.ACCEPTED) == set()
    assert finish(connection, owner, epochs[BUCKET], claimed, DeliveryState.ACCEPTED) == {claimed.id}
    assert finish(connection, owner, epochs[BUCKET], claimed, DeliveryState.REFUSED) == set()
    assert one(connection, "SELECT state, attempt FROM pgsupervise_delivery") == ("ACCEPTED", 1)


@pytest.mark.parametrize(
    ("safe", "resend", "expected"), [([], [], "UNKNOWN"), (["inbox"], [], "PENDING"), ([], ["p"], "PENDING")]
)
def test_a_killed_call_is_unknown_unless_sending_again_is_harmless_or_declared(
    connect: Connect, safe: list[str], resend: list[str], expected: str
) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 1)
    (claimed,) = send(connection, owner, epochs[BUCKET])
    workers.bury_worker(connection, owner, "signal:SIGKILL", None)
    leases.free_leases_of_the_dead(connection)
    found = reclaim.reclaim(connection, safe_channels=safe, resend_policies=resend)
    assert (found.deliveries, found.unknown_deliveries) == (1, int(expected == "UNKNOWN"))
    assert one(connection, "SELECT state FROM pgsupervise_delivery") == expected
    assert finish(connection, owner, epochs[BUCKET], claimed, DeliveryState.ACCEPTED) == set(), "the zombie is refused"


def test_a_claimed_delivery_whose_reply_was_lost_is_found_again(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 1)
    (claimed,) = send(connection, owner, epochs[BUCKET])
    assert deliveries.release_unheld_deliveries(connection, owner, [claimed.id]) == []
    assert deliveries.release_unheld_deliveries(connection, owner, []) == [claimed.id]


def test_a_hundred_concurrent_first_events_open_one_batch(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    barrier = threading.Barrier(20)

    def notify_often() -> None:
        mine = psycopg.connect(connection.info.dsn, autocommit=True)
        barrier.wait()
        for _ in range(5):
            add_event(mine, NOON)
        mine.close()

    threads = [threading.Thread(target=notify_often) for _ in range(20)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        fold(connection, owner, epochs[BUCKET])
    fold(connection, owner, epochs[BUCKET])
    assert one(connection, "SELECT count(*), sum(item_count) FROM pgsupervise_batch") == (1, 100)
    assert one(connection, "SELECT count(*) FROM pgsupervise_event WHERE state = 'FOLDED'") == 100


def test_the_tables_refuse_an_event_at_the_end_of_time(connect: Connect) -> None:
    """Its window would end beyond any date, and the flusher would fail again and again."""
    for when in ("infinity", "9999-12-31 00:00Z"):
        with pytest.raises(psycopg.errors.CheckViolation):
            connect().execute(
                "INSERT INTO pgsupervise_event (bucket, policy, recipient, occurred_at) VALUES (%s, 'p', %s, %s)",
                [BUCKET, ADA, when],
            )


def test_the_tables_refuse_a_producer_that_computes_the_bucket_otherwise(connect: Connect) -> None:
    connection = connect()
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO pgsupervise_event (bucket, policy, recipient) VALUES (%s, 'p', %s)", [(BUCKET + 1) % 256, ADA]
        )
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("INSERT INTO pgsupervise_task (bucket, name, key) VALUES (%s, 't', %s)", [BUCKET ^ 1, ADA])


def test_only_the_token_tells_a_stale_answer_from_the_one_that_is_awaited(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    digests(connection, owner, epochs[BUCKET], 1)
    (old,) = send(connection, owner, epochs[BUCKET])
    assert deliveries.release_unheld_deliveries(connection, owner, []) == [old.id]
    (new,) = send(connection, owner, epochs[BUCKET])
    assert finish(connection, owner, epochs[BUCKET], old, DeliveryState.REFUSED) == set()
    assert finish(connection, owner, epochs[BUCKET], new, DeliveryState.ACCEPTED) == {new.id}
