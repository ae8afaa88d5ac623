"""What the tests of sending tell the tables, and ask of them."""

from datetime import UTC, datetime, timedelta

import psycopg

from pgsupervise.partitions.buckets import bucket_of
from tests.waiting import wait_until

KEY = "SG.this-is-the-key.nobody-may-see-it"
LONG_AGO = datetime.now(UTC) - timedelta(days=1)


def add_events(
    watch: psycopg.Connection, policy: str, recipient: str, count: int, apart: timedelta = timedelta(minutes=1)
) -> None:
    """Insert rows as `notify()` does; the policy belongs to the settings of the supervisor, not to the tests' own."""
    rows = [(bucket_of(recipient), policy, recipient, "Bob", LONG_AGO + number * apart) for number in range(count)]
    with watch.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO pgsupervise_event (bucket, policy, recipient, actor, occurred_at) VALUES (%s, %s, %s, %s, %s)",
            rows,
        )


def states(watch: psycopg.Connection) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    return dict(watch.execute("SELECT state, count(*) FROM pgsupervise_delivery GROUP BY 1").fetchall())


def hurry(watch: psycopg.Connection) -> None:
    """Let a retry not wait out its delay."""
    watch.execute("UPDATE pgsupervise_delivery SET not_before = now() WHERE state = 'RETRYING' AND not_before > now()")


def reaches(watch: psycopg.Connection, expected: dict[str, int]) -> None:
    """Wait for these states, without waiting out delays."""

    def reached() -> bool:
        hurry(watch)
        return states(watch) == expected

    wait_until(reached, 90, f"the deliveries are {expected}")
