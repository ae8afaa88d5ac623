"""Leases and claims against a model: random histories, in which each statement must do exactly what is predicted.

PGSUPERVISE_TEST_EXAMPLES=2000 looks for new ones, at random and for as long as that takes; without it the histories
are the same in every run.
"""

import os
from collections.abc import Callable

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.ownership.delivery_machine import DeliveryMachine
from tests.integration.ownership.lease_machine import LeaseMachine
from tests.integration.ownership.task_machine import TaskMachine

WANTED = os.environ.get("PGSUPERVISE_TEST_EXAMPLES")
CONNECTIONS = 5


@pytest.mark.parametrize(("machine", "examples"), [(TaskMachine, 100), (DeliveryMachine, 60)])
def test_whatever_happens_the_tables_are_as_the_model_says(
    machine: type[LeaseMachine], examples: int, connect: Callable[[], psycopg.Connection]
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
