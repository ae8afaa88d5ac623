"""The conservation law as a command: it counts where all events are, and finds what cannot be."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from click.testing import CliRunner, Result
from django.db import transaction

from pgsupervise.django_app.conservation import conservation
from pgsupervise.django_app.models import Event
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.reading import mark_read
from pgsupervise.django_app.retracting import retract
from pgsupervise.supervisor.cli import main
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, HOUR, NOON
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="null"))
        yield World(connect)


@pytest.fixture
def filled(world: World) -> World:
    """Two sealed, three open, one pending; one retracted and two read on the way, and a flush that is no event."""
    told = [notify("p", ADA, occurred_at=NOON + number * HOUR / 2) for number in range(4)]
    world.flush(NOON + 90 * HOUR / 60)
    assert mark_read(ADA, [told[2]]).left_out == 1
    world.flush(NOON + 9 * HOUR, due=True)
    later = [notify("p", ADA, occurred_at=NOON + 10 * HOUR) for _ in range(4)]
    world.flush(NOON + 10 * HOUR)
    retract(later[0])
    notify("p", ADA, occurred_at=NOON + 11 * HOUR)
    Event.objects.create(policy="p", recipient=ADA, is_flush=True, occurred_at=NOON)
    return world


def command(*words: str) -> Result:
    return CliRunner().invoke(main, ["conservation", *words])


def test_each_event_is_in_exactly_one_place(filled: World) -> None:
    found = conservation()
    assert (found.pending, found.open, found.sealed, found.retracted) == (1, 3, 3, 1)
    assert (found.filtered, found.total, found.contradictions) == ({"read": 1}, 9, [])
    assert found.holds
    with transaction.atomic():
        assert conservation() == found, "inside a transaction too"
    shown = command()
    assert (shown.exit_code, shown.output.splitlines()[-1]) == (0, "ok: each event is in exactly one place")
    assert json.loads(command("--json").output)["filtered"] == {"read": 1}


BROKEN = {
    "UPDATE pgsupervise_event SET batch_id = 10000 WHERE id = 1": {
        "an event that is folded into no batch",
        "a batch that does not count its events",
        "a delivery whose items are not its batch's events",
    },
    "UPDATE pgsupervise_batch SET tenant = 't' WHERE id = 1": {"an event in a batch of another recipient or tenant"},
    "UPDATE pgsupervise_batch SET item_count = 9 WHERE id = 1": {"a batch that does not count its events"},
    "DELETE FROM pgsupervise_delivery WHERE batch_id = 1": {
        "a sealed batch with events, and neither a delivery nor a reason"
    },
    "UPDATE pgsupervise_delivery SET payload = '{\"item_ids\": [1]}' WHERE batch_id = 1": {
        "a delivery whose items are not its batch's events"
    },
    "UPDATE pgsupervise_event SET state = 'RETRACTED' WHERE id = 1": {
        "a delivery whose items are not its batch's events"
    },
    "UPDATE pgsupervise_batch SET state = 'CLOSED', sealed_at = NULL WHERE id = 1": {
        "a delivery of a batch that is not sealed, or not there"
    },
    "UPDATE pgsupervise_batch SET closes_at = opened_at, opened_at = opened_at - interval '1h' WHERE state = 'OPEN'": {
        "an event that occurred behind the end of its open batch"
    },
    "ALTER TABLE pgsupervise_event DROP CONSTRAINT pgsupervise_event_state;"
    "UPDATE pgsupervise_event SET state = 'FILTERED', reason = '' WHERE state = 'PENDING'": {
        "an event that is filtered without a reason"
    },
    "DROP INDEX pgsupervise_batch_one_open;"
    "UPDATE pgsupervise_batch SET state = 'OPEN', sealed_at = NULL WHERE id = 1": {
        "one of several open batches of one key",
        "a delivery of a batch that is not sealed, or not there",
    },
}


@pytest.mark.parametrize("breaking", BROKEN)
def test_every_contradiction_is_found(filled: World, breaking: str) -> None:
    with transaction.atomic():
        with transaction.get_connection().cursor() as cursor:
            cursor.execute(breaking)
        found = conservation()
        assert {contradiction.what for contradiction in found.contradictions} == BROKEN[breaking]
        assert not found.holds
        transaction.set_rollback(True)


def test_the_command_says_what_is_wrong_and_ends_with_1(filled: World) -> None:
    filled.connection.execute("UPDATE pgsupervise_event SET batch_id = 10000 WHERE id = 1")
    shown = command()
    assert shown.exit_code == 1
    assert "contradiction: an event that is folded into no batch (1): 1" in shown.output
    assert not json.loads(command("--json").output)["holds"]
