"""Whatever happens, and whenever the workers run: each event is in one place, and in the digest where its time puts it.

PGSUPERVISE_TEST_EXAMPLES=2000 looks for new histories, at random; without it they are the same in every run.
"""

import os
import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db.models.signals import post_delete
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pgsupervise.django_app import testing
from pgsupervise.django_app.deleting import retract_on_delete
from tests.integration.notifying.drawing import RECIPIENTS
from tests.integration.notifying.kinds import POLICIES, RULES, declare
from tests.integration.notifying.machine import BEGIN, NotificationMachine
from tests.integration.notifying.model import MINUTE, Told, windows
from tests.registries import own_registries

WANTED = os.environ.get("PGSUPERVISE_TEST_EXAMPLES")
EXAMPLES, STEPS = 12, 15
MINUTES = {
    "fixed": [(0, 59), (60, 90), (130,)],
    "slides": [(0, 20, 45, 59), (60,), (105, 130)],
    "leading": [(0,), (10, 44), (45,), (60,), (200,)],
    "quiet": [(0,), (20, 49), (50,), (150,)],
    "three": [(0, 1, 2), (3, 100), (130,)],
    "pairs": [(0, 10), (20,), (60, 80), (90,)],
}


@pytest.fixture(autouse=True)
def policies(db: str) -> Iterator[None]:
    receivers = list(post_delete.receivers)
    with own_registries():
        declare()
        retract_on_delete(Group)
        yield
    testing.unfreeze()
    post_delete.receivers = receivers
    post_delete.sender_receivers_cache.clear()


def test_the_model_tells_digests_as_the_manual_does() -> None:
    for policy, expected in MINUTES.items():
        minutes = [minute for digest in expected for minute in digest]
        key = (policy, "ann", "", "")
        events = [Told(minute, 0, policy, key, BEGIN + timedelta(minutes=minute)) for minute in minutes]
        found = [window.ids for window in windows(RULES, events) if window.events]
        assert found == expected, policy


@pytest.mark.parametrize("policy", POLICIES)
def test_busy_hours_of_one_policy_give_the_digests_of_their_events(
    policy: str, connect: Callable[[], psycopg.Connection], db: str
) -> None:
    machine, rand = NotificationMachine(connect(), db), random.Random(policy)
    for _ in range(6):
        machine.hours_pass(
            [
                (
                    {
                        "policy": policy,
                        "recipient": rand.choice(RECIPIENTS),
                        "tenant": rand.choice(["", "", "", "acme"]),
                        "page": "",
                        "ends_at": rand.choice([None, 20, 70]),
                    },
                    rand.randrange(7) * 15 * MINUTE,
                )
                for _ in range(10)
            ]
        )
    machine.teardown()
    assert not machine.history.tainted
    assert len(machine.history.told) == 60


def test_whatever_happens_each_event_is_in_the_digest_where_it_belongs(
    connect: Callable[[], psycopg.Connection], db: str
) -> None:
    connection = connect()
    bounds = settings(
        max_examples=int(WANTED or EXAMPLES),
        stateful_step_count=STEPS,
        derandomize=WANTED is None,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    # Any callable that makes a machine will do, whatever the annotation says.
    run_state_machine_as_test(lambda: NotificationMachine(connection, db), settings=bounds)  # type: ignore[arg-type]
