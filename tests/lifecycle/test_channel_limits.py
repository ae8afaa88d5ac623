"""What a channel may be asked for is kept by all workers together, also while leases move, and without a counter."""

import json
from bisect import bisect_left

import psycopg
import pytest

from pgsupervise.supervisor.budget import HELD_SECONDS
from tests.lifecycle.conftest import StartMailing
from tests.lifecycle.mailing import add_events, states
from tests.lifecycle.supervising import owners
from tests.sendgrid_server import Action, Behaviour, SendGridServer
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
RATE = 40


def limits(**of_sendgrid: float) -> dict[str, str]:
    return {"TEST_CHANNEL_LIMITS": json.dumps({"sendgrid": of_sendgrid})}


def most_in_a_second(times: list[float]) -> int:
    times = sorted(times)
    return max(bisect_left(times, at + 1) - place for place, at in enumerate(times))


def test_no_second_sees_more_than_the_budget_while_one_supervisor_comes_and_another_goes(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    amount = 4 * RATE
    for number in range(amount):
        add_events(watch, "mailed-hold", f"user{number}@example.com", 1)
    first = start_mailing("--senders", "1", partitions=2, **limits(per_second=RATE))
    wait_until(lambda: len(provider.arrivals) > RATE, 60)
    second = start_mailing("--senders", "1", partitions=2, **limits(per_second=RATE))
    wait_until(lambda: sorted(owners(watch).values()) == [128, 128], 60)
    assert first.stop() == 0
    wait_until(lambda: states(watch) == {"ACCEPTED": amount}, 60)
    workers = threads = 4
    # A thread waits for its answer, so what this machine holds up on its way to the server is one message each.
    assert most_in_a_second(provider.arrivals) <= RATE * (1 + HELD_SECONDS) + workers + threads
    assert len(provider.arrivals) == amount, "nothing was claimed in vain and sent twice"
    assert watch.execute("SELECT DISTINCT attempt FROM pgsupervise_delivery").fetchall() == [(1,)]
    assert second.stop() == 0


def test_no_more_calls_are_under_way_than_there_may_be(
    start_mailing: StartMailing, provider: SendGridServer, watch: psycopg.Connection
) -> None:
    provider.default = Behaviour(action=Action.SLOW)
    for number in range(12):
        add_events(watch, "mailed-hold", f"user{number}@example.com", 1)
    start_mailing("--senders", "4", partitions=2, **limits(in_flight=2))
    wait_until(lambda: states(watch) == {"ACCEPTED": 12}, 60)
    assert provider.most_under_way == 2
    assert len(provider.arrivals) == 12
