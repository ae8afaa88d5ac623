"""What waits, or is to be tried again, holds back what must not overtake it, and nothing else."""

import random
from collections import defaultdict
from collections.abc import Callable

import psycopg
import pytest

from tests.integration.test_notification_rows import BUCKET
from tests.integration.test_turns import Owner, names

Row = tuple[str, str, str, str, bool]
"""Policy, recipient, tenant, state, and whether its time has come."""


def fill(owner: Owner, rows: list[Row]) -> None:
    policies, recipients, tenants, states, ripe = map(list, zip(*rows, strict=True))
    owner.connection.execute(
        """INSERT INTO pgsupervise_delivery
            (bucket, batch_id, policy, recipient, tenant, channel, payload, state, not_before)
        SELECT %s, number, policy, recipient, tenant, 'mail', '{}', state,
            now() + CASE WHEN is_ripe THEN -1 ELSE 1 END * interval '1 hour'
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bool[])
            WITH ORDINALITY AS new (policy, recipient, tenant, state, is_ripe, number)
        ORDER BY number""",
        [BUCKET, policies, recipients, tenants, states, ripe],
    )


def may_go(rows: list[Row]) -> list[int]:
    """Return the ids of what may go: before it nothing is to be tried again, and nothing of its policy waits."""
    tried: set[str] = set()
    waits: set[tuple[str, str]] = set()
    found = []
    for number, (policy, recipient, _, state, is_ripe) in enumerate(rows, 1):
        if state == "RETRYING" and not is_ripe:
            tried.add(recipient)
        elif state == "WAITING" and not is_ripe:
            waits.add((policy, recipient))
        elif recipient not in tried and (policy, recipient) not in waits:
            found.append(number)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_however_states_are_mixed_what_may_go_goes_in_order(
    connect: Callable[[], psycopg.Connection], seed: int
) -> None:
    chance, owner = random.Random(seed), Owner(connect)
    states = ["PENDING"] * 12 + ["WAITING", "RETRYING"]
    tenants = ["large"] * 12 + ["", "a", "b", "c", "d"]
    people = names("r", 30)
    rows = [
        ("pq"[chance.random() < 0.5], chance.choice(people), chance.choice(tenants), state, state == "PENDING" or ripe)
        for state, ripe in [(chance.choice(states), chance.random() < 0.3) for _ in range(200)]
    ]
    fill(owner, rows)
    sent = [each for found in owner.rounds(6, most=300, ripe=True) for each in found]
    assert sorted(each.id for each in sent) == may_go(rows)
    theirs = defaultdict(list)
    for each in sent:
        theirs[each.recipient, each.policy].append(each.id)
    assert all(ids == sorted(ids) for ids in theirs.values())
