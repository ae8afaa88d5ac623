"""Wishes obeyed by a supervisor of its own: what is muted, what is quiet, and what was muted after the seal."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.preferences import set_preference, set_recipient
from pgsupervise.partitions.buckets import bucket_of
from tests.lifecycle.conftest import Start
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
LONG_AGO = datetime.now(UTC) - timedelta(days=1)
MUTING, SLEEPING, LATE, PLAIN = (f"{name}@example.com" for name in ("muting", "sleeping", "late", "plain"))


def sealed_before(watch: psycopg.Connection, recipient: str) -> None:
    """Insert a sealed batch and its delivery, as an earlier worker has left them."""
    of = {"bucket": bucket_of(recipient), "recipient": recipient, "at": LONG_AGO}
    row = watch.execute(
        """INSERT INTO pgsupervise_batch
            (bucket, policy, recipient, state, opened_at, closes_at, deliver_at, item_count, sealed_at)
        VALUES (%(bucket)s, 'hourly', %(recipient)s, 'SEALED', %(at)s, %(at)s, %(at)s, 1, %(at)s) RETURNING id""",
        of,
    ).fetchone()
    assert row
    payload = {"subject": "s", "text": "t", "item_ids": []}
    watch.execute(
        """INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload)
        VALUES (%(bucket)s, %(batch)s, 'hourly', %(recipient)s, 'inbox', %(payload)s)""",
        {**of, "batch": row[0], "payload": Jsonb(payload)},
    )


def test_a_supervisor_obeys_what_is_wished(start: Start, watch: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    set_preference(MUTING, policy="hourly", muted=True)
    set_preference(LATE, muted=True)
    begin, end = (now - timedelta(hours=1)).time(), (now + timedelta(hours=2)).time()
    set_recipient(SLEEPING, time_zone="UTC", quiet_from=begin, quiet_until=end)
    sealed_before(watch, LATE)
    for recipient in (MUTING, SLEEPING, PLAIN):
        notify("hourly", recipient, occurred_at=LONG_AGO)
    start()

    def states() -> dict[str, Any]:
        return dict(watch.execute("SELECT recipient, state || error FROM pgsupervise_delivery").fetchall())

    expected = {SLEEPING: "WAITING", LATE: "SKIPPEDmuted", PLAIN: "ACCEPTED"}
    wait_until(lambda: states() == expected, 60, f"the deliveries are {expected}")
    reasons = watch.execute("SELECT recipient, reason FROM pgsupervise_batch WHERE state = 'SEALED' AND reason <> ''")
    assert reasons.fetchall() == [(MUTING, "muted")]
    row = watch.execute("SELECT not_before FROM pgsupervise_delivery WHERE state = 'WAITING'").fetchone()
    assert row
    assert timedelta(minutes=110) < row[0] - now < timedelta(minutes=130)
    inbox = watch.execute("SELECT recipient FROM pgsupervise_inboxmessage").fetchall()
    assert inbox == [(PLAIN,)]
