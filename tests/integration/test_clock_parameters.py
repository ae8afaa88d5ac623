"""Points in time that a process hands to a statement: PostgreSQL itself says which parameters are any."""

import re
from collections.abc import Callable

import psycopg

from pgsupervise.partitions.statements import all_names, load

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
POINTS_IN_TIME = ("timestamp", "date", "time", "interval")
# Each is either a time of the events' own or one that `read_clock` has read from the database before.
ALLOWED = {
    (
        "bury_silent_workers",
        "beats",
    ): "each one's beat_at as silent_workers has read it",
    ("release_unheld_tasks", "before"): "read by database_time just before",
    ("release_unheld_deliveries", "before"): "read by database_time just before",
    ("pending_events", "after_time"): "the time of an event that was folded, see partitions/marks.py",
    ("due_batches", "after_time"): "the deliver_at of a batch that was sealed",
    ("probe_notifications", "folded_times"): "the same of each bucket",
    ("probe_notifications", "sealed_times"): "the same of each bucket",
    ("due_batches", "clock"): "read by read_clock; everything pending was folded after that",
    ("batches_in_turn", "clock"): "the same as of due_batches",
    ("batches_in_turn", "after_time"): "the deliver_at of the last batch of a chunk",
    ("insert_provider_events", "occurred_at"): "when it happened, as the provider says",
    ("insert_suppressions", "times"): "the same; none for what is added by hand",
    ("prove_deliveries", "delivered_at"): "the same",
    ("settle_unknown", "told_until"): "the time of the newest event that the provider has told of",
    ("postpone_batches", "until"): "what read_clock said, and a minute more",
    ("insert_deliveries", "not_before"): "computed from what read_clock said: quiet hours end, or a cap allows it",
    ("finish_deliveries", "until"): "the same, when the delivery was about to be sent",
    ("insert_keyed_event", "occurred_at"): "when the event occurred, as its sender says",
    ("insert_keyed_events", "occurred_at"): "the same, or what was read of the database just before",
    ("insert_batches", "opened_at"): "when the batch's first event occurred",
    ("insert_batches", "closes_at"): "computed from the times of the batch's events",
    ("insert_batches", "deliver_at"): "its closes_at, or the time of the event that filled it",
    ("insert_batches", "last_at"): "when the batch's last event occurred",
    ("insert_batches", "slides_until"): "computed from when the batch's first event occurred",
    ("update_batches", "slides_until"): "computed from when the batch's first event occurred",
    ("update_batches", "last_at"): "when the batch's last event occurred",
    ("update_batches", "closes_at"): "computed from the times of the batch's events",
    ("update_batches", "deliver_at"): "its closes_at, or the time of the event that filled it",
}


def times_among(connection: psycopg.Connection, statement: str) -> set[str]:
    """Return a statement's parameters that PostgreSQL takes for points in time or intervals."""
    numbers: dict[str, int] = {}
    text = PLACEHOLDER.sub(lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", statement)
    connection.execute(f"PREPARE asked AS {text.replace('%%', '%')}".encode())
    row = connection.execute(
        "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'asked'"
    ).fetchone()
    connection.execute("DEALLOCATE asked")
    assert row
    return {name for name, type_ in zip(numbers, row[0], strict=True) if type_.startswith(POINTS_IN_TIME)}


def test_the_only_times_that_statements_are_given_are_the_events_own_and_the_databases(
    connect: Callable[[], psycopg.Connection],
) -> None:
    connection = connect()
    assert {(name, time) for name in all_names() for time in times_among(connection, load(name))} == set(ALLOWED)


def test_a_statement_that_takes_a_time_or_an_interval_is_recognised(connect: Callable[[], psycopg.Connection]) -> None:
    statement = "UPDATE pgsupervise_worker SET beat_at = %(at)s, slot = %(slot)s WHERE interval '1 s' < %(silence)s"
    assert times_among(connect(), statement) == {"at", "silence"}
