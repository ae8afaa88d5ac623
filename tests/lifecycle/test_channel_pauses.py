"""A provider that wants a rest gets it from every worker of the cluster, and no message is the worse for it."""

import json
from itertools import pairwise

import psycopg
import pytest
from click.testing import CliRunner, Result

from pgsupervise.supervisor.cli import main
from tests.lifecycle.conftest import StartMailing
from tests.lifecycle.mailing import add_events, states
from tests.lifecycle.supervising import owners
from tests.sendgrid_server import Behaviour, SendGridServer
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
PEOPLE = [f"user{number}@example.com" for number in range(24)]
ATTEMPTS = "SELECT DISTINCT attempt FROM pgsupervise_delivery"


def channels(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["channels", *arguments])


def state_of(*arguments: str) -> object:
    ran = channels("--json", *arguments)
    assert ran.exit_code == 0, ran.output
    return {channel["channel"]: channel["state"] for channel in json.loads(ran.output)}["sendgrid"]


def two(start_mailing: StartMailing, watch: psycopg.Connection) -> None:
    for _ in range(2):
        start_mailing("--senders", "2", partitions=2)
    wait_until(lambda: sorted(owners(watch).values()) == [128, 128], 60)


def tell(watch: psycopg.Connection, people: list[str]) -> None:
    for person in people:
        add_events(watch, "mailed-hold", person, 1)


def test_one_workers_429_stops_two_supervisors_and_a_resume_by_hand_lets_everything_go(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.default = Behaviour(status=429, headers={"Retry-After": "600"})
    supervisors = [start_mailing("--senders", "2", partitions=2) for _ in range(2)]
    wait_until(lambda: sorted(owners(watch).values()) == [128, 128], 60)
    tell(watch, PEOPLE[:1])
    wait_until(lambda: "channel paused elsewhere" in "".join(one.log for one in supervisors), 60)
    tell(watch, PEOPLE[1:])
    wait_until(lambda: states(watch) == {"PENDING": len(PEOPLE)}, 60)
    assert state_of() == "paused"
    text = supervisors[0].get("/metrics")[1] + supervisors[1].get("/metrics")[1]
    assert text.count('pgsupervise_channel_paused{channel="sendgrid"} 1.0') == 2
    assert text.count('pgsupervise_channel_pauses_total{channel="sendgrid"} 1.0') == 1
    provider.default = Behaviour()
    assert state_of("--resume", "sendgrid") == "open"
    wait_until(lambda: states(watch) == {"ACCEPTED": len(PEOPLE)}, 60)
    assert len(provider.arrivals) == 1 + len(PEOPLE), "the one that found it out, and then each of them once"
    assert watch.execute(ATTEMPTS).fetchall() == [(1,)]


def test_after_a_pause_one_message_of_the_whole_cluster_goes_on_trial_at_a_time(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.default = Behaviour(status=429, headers={"Retry-After": "1"})
    two(start_mailing, watch)
    tell(watch, PEOPLE[:1])
    wait_until(lambda: len(provider.arrivals) >= 2, 60)
    tell(watch, PEOPLE[1:])
    wait_until(lambda: len(provider.arrivals) >= 4, 60)
    provider.default = Behaviour()
    wait_until(lambda: states(watch) == {"ACCEPTED": len(PEOPLE)}, 60)
    trials = provider.arrivals[: -len(PEOPLE) + 1]
    gaps = [later - earlier for earlier, later in pairwise(trials)]
    assert min(gaps) >= 1, "each trial that fails is a pause for everybody"
    assert watch.execute(ATTEMPTS).fetchall() == [(1,)]


def test_a_pause_by_hand_holds_until_it_is_resumed(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    assert state_of("--pause", "sendgrid", "--reason", "new key on Monday") == "held"
    supervisor = start_mailing(partitions=2)
    supervisor.logged('event="channel paused elsewhere" channel=sendgrid by_hand=True')
    tell(watch, PEOPLE[:3])
    wait_until(lambda: states(watch) == {"PENDING": 3}, 60)
    assert provider.arrivals == []
    shown = channels().output
    assert "sendgrid: held, since " in shown
    assert "new key on Monday" in shown
    assert channels("--resume", "sendgrip").exit_code == 2
    assert state_of("--resume", "sendgrid") == "open"
    wait_until(lambda: states(watch) == {"ACCEPTED": 3}, 60)
