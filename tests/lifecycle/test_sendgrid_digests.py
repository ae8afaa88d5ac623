"""Digests through the real `sendgrid` client to a server that knows SendGrid's own description of its API."""

import os
import signal

import psycopg
import pytest

from tests.lifecycle.conftest import StartMailing
from tests.lifecycle.mailing import KEY, add_events, reaches
from tests.lifecycle.test_trouble import run_cli
from tests.project.tasks import hang_once
from tests.sendgrid_server import Action, Behaviour, SendGridServer
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle


def test_each_recipient_gets_one_valid_digest_and_the_key_is_in_no_log(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    for number in range(20):
        add_events(watch, "mailed-resend", f"user{number}@example.com", 3)
    supervisor = start_mailing()
    reaches(watch, {"ACCEPTED": 20})
    assert provider.rejected == []
    bodies = [message.body for message in provider.accepted]
    recipients = [body["personalizations"][0]["to"][0]["email"] for body in bodies]
    assert sorted(recipients) == sorted(f"user{number}@example.com" for number in range(20))
    ids = {str(row[0]) for row in watch.execute("SELECT id FROM pgsupervise_delivery")}
    assert {body["personalizations"][0]["custom_args"]["pgs_delivery"] for body in bodies} == ids
    stored = {row[0] for row in watch.execute("SELECT provider_id FROM pgsupervise_delivery")}
    assert stored == {message.message_id for message in provider.accepted}
    assert supervisor.stop() == 0
    assert KEY not in supervisor.log
    assert "nobody-may-see-it" not in supervisor.log


def test_a_provider_that_is_out_of_service_gets_the_same_message_again(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(Behaviour(status=503), Behaviour(status=503))
    add_events(watch, "mailed-hold", "ada@example.com", 2)
    start_mailing()
    reaches(watch, {"ACCEPTED": 1})
    assert len(provider.accepted) == 1
    assert watch.execute("SELECT attempt FROM pgsupervise_delivery").fetchone() == (3,)


def test_a_refusal_is_kept_with_the_providers_words(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(Behaviour(status=400, body='{"errors": [{"message": "no such domain", "field": "to"}]}'))
    add_events(watch, "mailed-resend", "ada@example.com", 1)
    start_mailing()
    reaches(watch, {"REFUSED": 1})
    error = watch.execute("SELECT error FROM pgsupervise_delivery").fetchone()
    assert error
    assert "no such domain" in error[0]


def test_a_quota_pauses_the_channel_and_burns_no_attempt(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(Behaviour(status=429, headers={"Retry-After": "1"}))
    add_events(watch, "mailed-hold", "ada@example.com", 1)
    supervisor = start_mailing()
    supervisor.logged('event="channel paused" channel=sendgrid')
    reaches(watch, {"ACCEPTED": 1})
    assert watch.execute("SELECT attempt FROM pgsupervise_delivery").fetchone() == (1,)


def test_a_reply_that_is_lost_is_held_or_sent_again_as_the_policy_says(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(*[Behaviour(action=Action.HANG_UP)] * 2)  # the provider takes them, and says nothing
    add_events(watch, "mailed-hold", "ada@example.com", 1)
    add_events(watch, "mailed-resend", "bob@example.com", 1)
    start_mailing()
    reaches(watch, {"UNKNOWN": 1, "ACCEPTED": 1})
    to = [message.body["personalizations"][0]["to"][0]["email"] for message in provider.accepted]
    assert sorted(to) == ["ada@example.com", "bob@example.com", "bob@example.com"]


@pytest.mark.parametrize(("policy", "end", "taken"), [("mailed-hold", "UNKNOWN", 1), ("mailed-resend", "ACCEPTED", 2)])
def test_a_worker_killed_during_the_call_leaves_what_its_policy_says(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection, policy: str, end: str, taken: int
) -> None:
    provider.script(Behaviour(action=Action.HANG_READ))
    add_events(watch, policy, "ada@example.com", 1)
    start_mailing()
    wait_until(lambda: provider.accepted, 60)
    row = watch.execute(
        "SELECT w.pid FROM pgsupervise_delivery d JOIN pgsupervise_worker w ON w.id = d.claimed_by"
    ).fetchone()
    assert row
    os.kill(row[0], signal.SIGKILL)
    reaches(watch, {end: 1})
    assert len(provider.accepted) == taken


def test_a_message_on_its_way_is_finished_before_its_worker_is_killed_for_a_task(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    """Killed in the middle of the call, its fate would be unknown: so the task's end waits for the answer."""
    provider.script(Behaviour(action=Action.DRIP, headers={"X-Long": "x" * 400}))
    for _ in range(4):  # one for each worker, whichever has the message
        hang_once.enqueue(1)
    start_mailing(TEST_SENDGRID_TIMEOUT="30")
    wait_until(lambda: watch.execute("SELECT count(*) FROM ledger").fetchone() == (4,), 60)
    add_events(watch, "mailed-hold", "ada@example.com", 1)
    reaches(watch, {"ACCEPTED": 1})
    assert watch.execute("SELECT attempt FROM pgsupervise_delivery").fetchone() == (1,)


def test_a_missing_key_is_told_before_anything_starts(db: str) -> None:
    ran = run_cli("--settings", "tests.mailing.settings", "--metrics-port", "0", dsn=db)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert "SENDGRID_API_KEY" in line
