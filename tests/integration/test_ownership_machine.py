"""Leases and claims against a model: in each history, every statement must do exactly what is predicted.

The stories of late writers are told in every variant; around them, random histories. PGSUPERVISE_TEST_EXAMPLES=2000
looks for new ones of these, at random and for as long as that takes; without it they are the same in every run.
"""

import os
from collections.abc import Callable
from itertools import product

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pgsupervise.partitions.states import DeliveryState
from tests.integration.ownership.delivery_machine import ENDS, SAFE, UNSAFE, DeliveryMachine
from tests.integration.ownership.lease_machine import BUCKETS, RECIPIENTS, Fate, LeaseMachine, Sweep
from tests.integration.ownership.task_machine import End, TaskMachine

Connect = Callable[[], psycopg.Connection]
WANTED = os.environ.get("PGSUPERVISE_TEST_EXAMPLES")
CONNECTIONS = 5


@pytest.mark.parametrize("fate", Fate)
def test_a_task_that_is_ended_late_is_as_the_model_says(fate: Fate, connect: Connect) -> None:
    connections = [connect() for _ in range(CONNECTIONS)]
    for sweep, inherited, late in product(Sweep, [False, True], End):
        machine = TaskMachine(connections)
        story = {"bucket": BUCKETS[0], "fate": fate, "sweep": sweep, "inherited": inherited, "late": late}
        machine.begins_with_a_story(8, story | {"crashes": 2, "end": End.DONE})
        machine.check()


@pytest.mark.parametrize("fate", Fate)
def test_a_delivery_that_is_ended_late_is_as_the_model_says(fate: Fate, connect: Connect) -> None:
    connections = [connect() for _ in range(CONNECTIONS)]
    for sweep, inherited, forgets, state in product(Sweep, [False, True], [False, True], ENDS):
        machine = DeliveryMachine(connections)
        story = {"recipient": RECIPIENTS[0], "fate": fate, "sweep": sweep, "inherited": inherited, "forgets": forgets}
        machine.begins_with_a_story(8, story | {"channel": UNSAFE, "state": state, "before_seal": None})
        machine.check()


@pytest.mark.parametrize("fate", Fate)
def test_a_digest_that_is_sealed_late_is_as_the_model_says(fate: Fate, connect: Connect) -> None:
    machine = DeliveryMachine([connect() for _ in range(CONNECTIONS)])
    story = {"recipient": RECIPIENTS[0], "before_seal": fate, "fate": Fate.HANDS_OVER, "sweep": Sweep.FREES}
    story |= {"inherited": True, "forgets": False, "state": DeliveryState.PENDING}
    machine.begins_with_a_story(8, story | {"channel": SAFE})
    machine.check()


@pytest.mark.parametrize(("machine", "examples"), [(TaskMachine, 60), (DeliveryMachine, 40)])
def test_whatever_happens_the_tables_are_as_the_model_says(
    machine: type[LeaseMachine], examples: int, connect: Connect
) -> None:
    connections = [connect() for _ in range(CONNECTIONS)]
    bounds = settings(
        max_examples=int(WANTED or examples),
        stateful_step_count=20,
        derandomize=WANTED is None,
        database=None,
        deadline=None,
        # Most time goes to PostgreSQL, and how much is no fault of the machine.
        suppress_health_check=[HealthCheck.too_slow],
    )
    # Any callable that makes a machine will do, whatever the annotation says.
    run_state_machine_as_test(lambda: machine(connections), settings=bounds)  # type: ignore[arg-type]
