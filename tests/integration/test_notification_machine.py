"""Whatever happens, and whenever the workers run: each event is in one place, and in the digest where its time puts it.

PGSUPERVISE_TEST_EXAMPLES=2000 looks for new histories, at random; without it they are the same in every run.
"""

import os
import random
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.notifying.machine import NOON, RECIPIENTS, NotificationMachine
from tests.integration.notifying.model import MINUTE, POLICIES, RULES, Told, digests

WANTED = os.environ.get("PGSUPERVISE_TEST_EXAMPLES")
EXAMPLES, STEPS = 30, 15
MINUTES = {
    "fixed": [(0, 59), (60, 90), (130,)],
    "sliding": [(0, 20, 45, 59), (60,), (105, 130)],
    "leading": [(0,), (10, 44), (45,), (60,), (200,)],
    "quiet": [(0,), (20, 49), (50,), (150,)],
    "three": [(0, 1, 2), (3, 100), (130,)],
    "pairs": [(0, 10), (20,), (60, 80), (90,)],
}


def test_the_model_tells_digests_as_the_manual_does() -> None:
    for policy, expected in MINUTES.items():
        minutes = [minute for digest in expected for minute in digest]
        events = [
            Told(minute, 0, (policy, "ann", "", ""), NOON + timedelta(minutes=minute), "event") for minute in minutes
        ]
        found = [tuple(event.id for event in digest) for digest in digests(RULES[policy], events) if digest]
        assert found == expected, policy


@pytest.mark.parametrize("policy", POLICIES)
def test_busy_hours_of_one_policy_give_the_digests_of_their_events(
    policy: str, connect: Callable[[], psycopg.Connection]
) -> None:
    machine, rand = NotificationMachine(connect()), random.Random(policy)
    for _ in range(12):
        machine.hours_pass(
            [
                (
                    {
                        "policy": policy,
                        "recipient": rand.choice(RECIPIENTS),
                        "tenant": rand.choice(["", "acme"]),
                        "key": "",
                    },
                    rand.randrange(7) * 15 * MINUTE,
                )
                for _ in range(10)
            ]
        )
        machine.what_is_sealed_is_a_digest_of_the_events_alone()
        machine.each_event_is_in_one_place()
    machine.at_most_one_batch_of_a_key_is_open_and_each_counts_what_it_has()
    machine.teardown()
    assert not machine.tainted
    assert len(machine.told) == 120


def test_whatever_happens_each_event_is_in_the_digest_where_it_belongs(
    connect: Callable[[], psycopg.Connection],
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
    run_state_machine_as_test(lambda: NotificationMachine(connection), settings=bounds)  # type: ignore[arg-type]
