"""Messages of unknown fate, by real workers: what SendGrid tells later decides, or the policy does.

The events come through the project's own view, signed, as from SendGrid.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.test import override_settings

from tests.lifecycle.conftest import StartMailing
from tests.lifecycle.mailing import add_events, reaches
from tests.lifecycle.test_trouble import run_cli
from tests.sendgrid_server import Action, Behaviour, SendGridServer
from tests.sendgrid_webhook import Signer, event, tell
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
SIGNER = Signer()
# Each is taken, and none of the answers says so.
SILENT = {
    "hang": Behaviour(action=Action.HANG_READ),
    "hang up": Behaviour(action=Action.HANG_UP),
    "half a reply": Behaviour(action=Action.HALF_REPLY),
    "slow drip": Behaviour(action=Action.DRIP, headers={"X-Long": "x" * 1000}),
    "500": Behaviour(status=500, takes=True),
    "502": Behaviour(status=502, takes=True, body="<html>Bad Gateway</html>"),
    "504": Behaviour(status=504, takes=True),
    "200": Behaviour(status=200, takes=True),
}
LOST = Behaviour(status=500)


@pytest.fixture(autouse=True)
def webhook() -> Iterator[None]:
    with override_settings(PGSUPERVISE={"SENDGRID_WEBHOOK_KEYS": SIGNER.key}):
        yield


def told(provider: SendGridServer, kind: str, recipients: Sequence[str] = (), **more: Any) -> None:
    """Let the webhook tell of messages that were taken: of all, or of those to some."""
    bodies = [message.body["personalizations"][0] for message in provider.accepted]
    chosen = [body for body in bodies if not recipients or body["to"][0]["email"] in recipients]
    assert chosen
    assert tell(SIGNER, [event(body["custom_args"], kind, **more) for body in chosen]) == 204


def recipients(count: int) -> list[str]:
    return [f"user{number}@example.com" for number in range(count)]


def column(watch: psycopg.Connection, name: str, recipient: str) -> Any:
    statement = f"SELECT {name} FROM pgsupervise_delivery WHERE recipient = %s"  # noqa: S608 - the test's own names
    row = watch.execute(statement.encode(), [recipient]).fetchone()
    assert row
    return row[0]


def end_grace(watch: psycopg.Connection, recipient: str) -> None:
    """Let the grace of a delivery of unknown fate end now."""
    watch.execute("UPDATE pgsupervise_delivery SET unknown_until = now() WHERE recipient = %s", [recipient])


def test_every_way_not_to_know_ends_with_what_the_provider_tells(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(*SILENT.values())
    for recipient in recipients(len(SILENT)):
        add_events(watch, "mailed-reconcile", recipient, 2)
    supervisor = start_mailing()
    reaches(watch, {"UNKNOWN": len(SILENT)})
    assert len(provider.accepted) == len(SILENT)
    told(provider, "deferred")
    reaches(watch, {"ACCEPTED": len(SILENT)})
    told(provider, "delivered")
    statuses = "SELECT DISTINCT provider_status FROM pgsupervise_delivery"
    wait_until(lambda: watch.execute(statuses).fetchall() == [("delivered",)], 60)
    assert len(provider.accepted) == len(SILENT), "each once"
    settled = f'pgsupervise_unknown_settled_total{{how="proven",policy="mailed-reconcile"}} {len(SILENT)}.0'
    wait_until(lambda: settled in supervisor.get("/metrics")[1], 30)


def test_without_a_word_it_goes_again_where_the_webhook_is_alive_and_waits_for_a_person_where_not(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection, db: str
) -> None:
    provider.script(LOST)
    add_events(watch, "mailed-reconcile", "ada@example.com", 2)
    start_mailing()
    reaches(watch, {"UNKNOWN": 1})
    end_grace(watch, "ada@example.com")
    wait_until(lambda: column(watch, "unknown_until", "ada@example.com") is None, 60)
    provider.script(LOST)
    add_events(watch, "mailed-reconcile", "bob@example.com", 2)
    reaches(watch, {"UNKNOWN": 2})
    add_events(watch, "mailed-hold", "eve@example.com", 2)
    reaches(watch, {"UNKNOWN": 2, "ACCEPTED": 1})
    told(provider, "processed", timestamp=int(time.time()) + 1)
    end_grace(watch, "bob@example.com")
    reaches(watch, {"UNKNOWN": 1, "ACCEPTED": 2})
    assert column(watch, "attempt", "bob@example.com") == 2
    assert column(watch, "state", "ada@example.com") == "UNKNOWN", "held, whatever is told of others since"
    held_id = column(watch, "id", "ada@example.com")
    ran = run_cli(
        "--settings", "tests.mailing.settings", "deliveries", "resolve", "resend", str(held_id), "--yes", dsn=db
    )
    assert (ran.returncode, ran.stdout) == (0, "resend: 1 delivery\n"), ran.stderr
    reaches(watch, {"ACCEPTED": 3})
    to = [message.body["personalizations"][0]["to"][0]["email"] for message in provider.accepted]
    assert sorted(to) == ["ada@example.com", "bob@example.com", "eve@example.com"]


def test_what_is_told_during_the_call_outlives_the_workers_death(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(*[Behaviour(action=Action.HANG_READ)] * 3)
    for way, recipient in zip(("reconcile", "hold", "resend"), recipients(3), strict=True):
        add_events(watch, f"mailed-{way}", recipient, 1)
    start_mailing(TEST_SENDGRID_TIMEOUT="60")
    wait_until(lambda: len(provider.accepted) == 3, 60)
    told(provider, "processed")
    proven = "SELECT count(*) FROM pgsupervise_delivery WHERE state = 'SENDING' AND proven_attempts = '{1}'"
    wait_until(lambda: watch.execute(proven).fetchone() == (3,), 60)
    claimers = "SELECT DISTINCT w.pid FROM pgsupervise_delivery d JOIN pgsupervise_worker w ON w.id = d.claimed_by"
    for (pid,) in watch.execute(claimers).fetchall():
        os.kill(pid, signal.SIGKILL)
    reaches(watch, {"ACCEPTED": 3})
    assert len(provider.accepted) == 3


def test_a_message_that_went_out_twice_is_counted_where_both_attempts_are_told(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.script(Behaviour(action=Action.HANG_UP))
    add_events(watch, "mailed-resend", "ada@example.com", 1)
    supervisor = start_mailing()
    reaches(watch, {"ACCEPTED": 1})
    assert len(provider.accepted) == 2
    told(provider, "delivered")
    told(provider, "delivered")
    counted = 'pgsupervise_duplicates_total{policy="mailed-resend"} 1.0'
    wait_until(lambda: counted in supervisor.get("/metrics")[1], 60)
    assert column(watch, "duplicates", "ada@example.com") == 1
    assert column(watch, "proven_attempts", "ada@example.com") == [1, 2]
    supervisor.logged('event="duplicate: the provider took more than one attempt"')
