"""How often one message and one recipient are sent to at most, what is resent, and that it is the same to the byte."""

import json
from datetime import timedelta

import psycopg
import pytest

from tests.lifecycle.conftest import StartMailing
from tests.lifecycle.mailing import add_events, hurry, reaches
from tests.sendgrid_server import Action, Behaviour, SendGridServer
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
LOST = Behaviour(action=Action.HANG_UP)
"""The provider takes the message and says nothing."""


def test_copies_are_counted_and_identical_and_neither_a_message_nor_a_recipient_gets_too_many(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    supervisor = start_mailing(partitions=2, TEST_MOST_PER_HOUR="5")
    provider.script(LOST, LOST, LOST)
    add_events(watch, "mailed-resend", "ada@example.com", 1)
    reaches(watch, {"UNKNOWN": 1})
    assert len(provider.accepted) == 3
    row = watch.execute("SELECT copies, error FROM pgsupervise_delivery").fetchone()
    assert row
    assert (row[0], row[1].startswith("held: sent 3 times, of unknown fate")) == (3, True)

    provider.script(LOST)
    add_events(watch, "mailed-resend", "bob@example.com", 1)
    reaches(watch, {"UNKNOWN": 1, "ACCEPTED": 1})
    first, second = provider.bodies[3:]
    assert first.count(b'"pgs_attempt": "1"') == 1
    assert first.replace(b'"pgs_attempt": "1"', b'"pgs_attempt": "2"') == second

    add_events(watch, "mailed-resend", "cid@example.com", 7, apart=timedelta(hours=1))
    mine = "SELECT count(*) FROM pgsupervise_delivery WHERE recipient = 'cid@example.com' AND state = 'ACCEPTED'"
    wait_until(lambda: watch.execute(mine).fetchone() == (5,), 60)
    held = (
        "SELECT error, not_before - now() FROM pgsupervise_delivery WHERE recipient = 'cid@example.com'"
        " AND state = 'RETRYING' AND not_before > now() + interval '50 minutes' ORDER BY id"
    )
    (words, wait) = wait_until(lambda: watch.execute(held).fetchone(), 60) or ("", timedelta(0))
    assert words == "held: the recipient had 5 messages within an hour (MOST_PER_HOUR)"
    assert wait <= timedelta(hours=1)
    hurry(watch)  # it looks again, and it still is too early
    wait_until(lambda: watch.execute(held).fetchone(), 60)
    counted = supervisor.get("/metrics")[1]
    assert 'pgsupervise_deliveries_resent_total{channel="sendgrid"} 3.0' in counted
    assert 'pgsupervise_deliveries_held_total{channel="sendgrid",reason="copies"} 1.0' in counted

    watch.execute("UPDATE pgsupervise_delivery SET finished_at = finished_at - interval '2 hours'")
    hurry(watch)
    wait_until(lambda: watch.execute(mine).fetchone() == (7,), 60)
    to = [json.loads(body)["personalizations"][0]["to"][0]["email"] for body in provider.bodies]
    assert to.count("cid@example.com") == 7, "held, and not lost"
