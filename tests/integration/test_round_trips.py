"""How often a chunk of events waits for the database: each wait costs more than all the work on a small chunk."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.pq import Trace

from pgsupervise.partitions import batches, deliveries, events, tasks
from pgsupervise.partitions.deliveries import DeliveryClaim, SentDelivery
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.round_trips import sent_together
from pgsupervise.partitions.rows import DueBatch, NewDelivery, Person, Withheld
from pgsupervise.partitions.states import DeliveryState, Reason, TaskState
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, BUCKET, HOUR, NOON, RULE, add_event
from tests.integration.world import add_task, claim, owner_of

Connect = Callable[[], psycopg.Connection]


class Traffic:
    """What libpq has seen between the beginning and the end of a block."""

    statements = 0
    waits = 0
    """How often something was sent after an answer had come, the first time included."""


@contextmanager
def traffic(connection: psycopg.Connection) -> Iterator[Traffic]:
    seen = Traffic()
    with tempfile.TemporaryFile("w+") as log:
        connection.pgconn.trace(log.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        yield seen
        connection.pgconn.untrace()
        log.seek(0)
        lines = [line for line in log if re.match(r"[FB]\t", line)]
    seen.statements = sum(line.split("\t")[2] in ("Execute", "Query") for line in lines)
    directions = "".join(line[0] for line in lines)
    seen.waits = len(re.findall("F+B*", directions))


def test_a_transaction_whose_answers_decide_nothing_is_one_round_trip(connect: Connect) -> None:
    connection = connect()
    with traffic(connection) as seen, sent_together(connection):
        connection.execute("SELECT 1")
        connection.execute("SELECT 2")
    assert (seen.statements, seen.waits) == (4, 1)  # BEGIN and COMMIT, and the two
    with traffic(connection) as seen:
        connection.execute("SELECT 1")
        connection.execute("SELECT 2")
    assert (seen.statements, seen.waits) == (2, 2)


def test_a_chunk_takes_as_many_round_trips_as_it_has_questions(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, BUCKET)
    at: dict[str, Any] = {"bucket": BUCKET, "owner": owner, "epoch": epochs[BUCKET]}
    for minute in range(50):
        add_event(connection, NOON + timedelta(minutes=minute))

    with traffic(connection) as seen:
        folded = events.fold_events(
            connection,
            **at,
            folding=events.Folding(lambda policy, person: RULE, ["p"]),
        )
    assert len(folded.events) == 50
    assert (seen.statements, seen.waits) == (13, 3), "fold: what is new, where it belongs, written down"

    with traffic(connection) as seen:
        found = batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + 9 * HOUR).batches
    assert (seen.statements, seen.waits) == (6, 2), "read: the batches, their items"
    assert [batch.person for batch in found if isinstance(batch, DueBatch)] == [None]
    connection.execute(
        "INSERT INTO pgsupervise_recipient (bucket, recipient, time_zone, updated_at) VALUES (%s, %s, 'UTC', now())",
        [BUCKET, ADA],
    )
    with traffic(connection) as seen:
        known = batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + 9 * HOUR).batches
    assert (seen.statements, seen.waits) == (8, 2), "what is stored about a recipient comes with the items"
    assert [batch.person for batch in known if isinstance(batch, DueBatch)] == [Person(recipient=ADA, time_zone="UTC")]
    connection.execute("DELETE FROM pgsupervise_recipient")
    with traffic(connection) as seen:
        bare = batches.due_batches(connection, bucket=BUCKET, policies=["p"], clock=NOON + 9 * HOUR, bare=["p"]).batches
    assert (seen.statements, seen.waits) == (3, 1), "read: nobody asks for the items"
    assert [batch.item_ids for batch in bare if isinstance(batch, DueBatch)] == [[e.id for e in folded.events]]

    rendered = [(batch, [NewDelivery("inbox", {})]) for batch in found if isinstance(batch, DueBatch)]
    with traffic(connection) as seen:
        assert batches.seal_batches(connection, **at, rendered=rendered) == 1
    assert (seen.statements, seen.waits) == (6, 1), "seal, if nothing was taken out since"

    (due,) = found
    assert isinstance(due, DueBatch)
    with traffic(connection) as seen:
        assert batches.seal_batches(connection, **at, rendered=[(due, Withheld(Reason.MUTED))]) == 0, "it is sealed"
    assert (seen.statements, seen.waits) == (7, 1), "seal without a message: one statement more"

    with traffic(connection) as seen:
        of_bucket, of_next = deliveries.claim_deliveries(
            connection,
            owner,
            [DeliveryClaim(BUCKET, epochs[BUCKET], ["inbox"], 9), DeliveryClaim(BUCKET + 1, 1, ["inbox"], 9)],
        )
    assert (len(of_bucket), len(of_next), seen.statements, seen.waits) == (1, 0, 4, 1), "claim in two buckets"
    sent = [SentDelivery(delivery, DeliveryState.ACCEPTED) for delivery in of_bucket]
    with traffic(connection) as seen:
        assert len(deliveries.finish_deliveries(connection, owner, {(BUCKET, epochs[BUCKET]): sent})) == 1
    assert (seen.statements, seen.waits) == (3, 1), "finish"
    with traffic(connection) as seen:
        assert deliveries.finish_deliveries(connection, owner, {(BUCKET, 0): sent, (BUCKET + 1, 0): sent}) == set()
    assert (seen.statements, seen.waits) == (4, 1), "finish what is of several buckets: one statement more each"
    with traffic(connection) as seen:
        events.probe_notifications(
            connection, owner, {BUCKET: Marks()}, policies=["p"], safe=["inbox"], unsafe=["sendgrid"]
        )
    assert (seen.statements, seen.waits) == (3, 1), "probe"


def test_the_turn_of_a_bucket_where_something_is_due_waits_three_times(connect: Connect) -> None:
    world = World(connect)
    ids = [add_event(world.connection, NOON), add_event(world.connection, NOON + 3 * HOUR)]
    world.flush(NOON)
    with traffic(world.connection) as seen:
        world.flush(NOON + 9 * HOUR, due=True)
    assert world.digests() == [[event_id] for event_id in ids]
    assert seen.waits == 1 + 3, "the clock is set; then: is there anything new, what is due, sealed"


def test_whether_more_is_due_is_known_without_another_look(connect: Connect) -> None:
    world = World(connect)
    for hours in range(3):
        add_event(world.connection, NOON + 3 * hours * HOUR)
    world.flush(NOON)
    looks = [
        batches.due_batches(world.connection, bucket=BUCKET, policies=["p"], clock=NOON + 9 * HOUR, limit=limit)
        for limit in (2, 3, 4)
    ]
    assert [(len(look.batches), look.more) for look in looks] == [(2, True), (3, True), (3, False)]


def test_an_error_is_raised_and_nothing_is_written_and_the_connection_goes_on(connect: Connect) -> None:
    connection = connect()
    for failing, error in (("SELECT 1 / (SELECT 0)", psycopg.errors.DivisionByZero), (None, KeyError)):
        with pytest.raises(error):
            add_and_fail(connection, failing)
        assert connection.execute("SELECT count(*) FROM pgsupervise_event").fetchone() == (0,)
        assert connection.execute("SHOW enable_sort").fetchone() == ("on",), "settings end with their transaction"


def add_and_fail(connection: psycopg.Connection, statement: LiteralString | None) -> None:
    with sent_together(connection):
        add_event(connection, NOON)
        if statement is None:
            raise KeyError
        connection.execute(statement)
        connection.execute("SELECT 1")


def test_a_chunk_of_tasks_ends_and_the_next_one_begins_in_one_round_trip(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0, 1)
    for bucket in (0, 0, 1):
        add_task(connection, bucket)
    done, failing = claim(connection, owner, epochs[0])
    following = tasks.Claim(bucket=1, owner=owner, epoch=epochs[1], names=["t"], limit=9, after=tasks.START)
    ended = [tasks.EndedTask(done, TaskState.DONE)]
    failed = [tasks.FailedTask(failing, timedelta(0), "x", "")]
    with traffic(connection) as seen:
        written, chunk = tasks.settle_tasks(connection, 0, ended, failed, following)
    assert (seen.statements, seen.waits) == (6, 1), "copied, deleted, tried again, claimed, and their transaction"
    assert written == {done.id, failing.id}
    assert chunk is not None
    assert [task.bucket for task in chunk.tasks] == [1]
    ended = [tasks.EndedTask(task, TaskState.DONE) for task in chunk.tasks]
    with traffic(connection) as seen:
        tasks.settle_tasks(connection, 1, ended, [], following)
    assert (seen.statements, seen.waits) == (5, 1)
