"""What a changed policy means for the batches that are open, and their owners' answer to it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from click.testing import CliRunner

from pgsupervise.django_app import policies
from pgsupervise.django_app.models import Batch, Event
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Fixed, Policy, Sliding, register
from pgsupervise.django_app.policy_changes import Answer, apply, policy_changes
from pgsupervise.partitions.marks import Marks
from pgsupervise.supervisor.cli import main
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, HOUR, NOON
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    """An open batch of a policy of one hour: noon to one, with events at noon and twenty past."""
    with own_registries():
        declare(Fixed(HOUR))
        world = World(connect)
        for minute in (0, 20):
            notify("p", ADA, occurred_at=NOON + minute * MINUTE)
        world.flush(NOON + 25 * MINUTE)
        yield world


def declare(window: Fixed | Sliding) -> None:
    policies._registry.pop("p", None)
    register(Policy(name="p", window=window, channel="null"))


def flushed(world: World, at: timedelta, *, due: bool = False) -> tuple[str, timedelta, int]:
    world.marks = Marks()
    world.flush(NOON + at, due=due)
    state, closes_at, count = Batch.objects.values_list("state", "closes_at", "item_count").get()
    return state, closes_at - NOON, count


def test_nothing_differs_until_the_policy_does(world: World) -> None:
    assert list(policy_changes()) == []
    declare(Fixed(2 * HOUR))
    (change,) = policy_changes()
    assert (change.batch.closes_at, change.declared) == (NOON + HOUR, NOON + 2 * HOUR)
    assert list(policy_changes(["another"])) == []


def test_a_batch_that_ends_when_it_would_but_moves_otherwise_differs_too(world: World) -> None:
    declare(Sliding(40 * MINUTE, max=HOUR))
    (change,) = policy_changes()
    assert change.declared == change.batch.closes_at == NOON + HOUR
    Batch.objects.update(slides_by=None)
    assert list(policy_changes()) == [], "opened before that was kept: it is moved as declared"


def test_keep_changes_nothing(world: World) -> None:
    declare(Fixed(2 * HOUR))
    assert apply(policy_changes(), Answer.KEEP) == 0
    assert flushed(world, 30 * MINUTE) == ("OPEN", HOUR, 2)


def test_recompute_moves_the_end_and_loses_nothing_that_came_meanwhile(world: World) -> None:
    declare(Fixed(3 * HOUR))
    changes = list(policy_changes())
    notify("p", ADA, occurred_at=NOON + 24 * MINUTE)
    assert apply(changes, Answer.RECOMPUTE) == 1
    assert flushed(world, 30 * MINUTE) == ("OPEN", 3 * HOUR, 3)
    assert list(policy_changes()) == []
    assert Event.objects.values_list("state", "reason").get(is_flush=True) == ("FILTERED", "recomputed")
    notify("p", ADA, occurred_at=NOON + 2 * HOUR)
    assert flushed(world, 4 * HOUR, due=True) == ("SEALED", 3 * HOUR, 4)
    assert world.digests() == [[1, 2, 3, 5]]


def test_a_shorter_window_that_is_still_open_is_found_when_it_is_due(world: World) -> None:
    declare(Fixed(30 * MINUTE))
    apply(policy_changes(), Answer.RECOMPUTE)
    assert flushed(world, 26 * MINUTE) == ("OPEN", 30 * MINUTE, 2)
    assert flushed(world, 31 * MINUTE, due=True)[0] == "SEALED"


def test_a_window_that_is_over_is_closed_with_what_it_has(world: World) -> None:
    declare(Fixed(10 * MINUTE))
    (change,) = policy_changes()
    assert change.declared < NOON + 20 * MINUTE, "the batch has an event behind it already"
    apply([change], Answer.RECOMPUTE)
    assert flushed(world, 26 * MINUTE) == ("SEALED", HOUR, 2)
    assert world.digests() == [[1, 2]]


def test_a_sliding_window_counts_from_the_last_event(world: World) -> None:
    declare(Sliding(30 * MINUTE, max=HOUR))
    (change,) = policy_changes()
    assert (change.opens_until, change.declared) == (NOON + 30 * MINUTE, NOON + 50 * MINUTE)
    declare(Sliding(HOUR, max=2 * HOUR))
    apply(policy_changes(), Answer.RECOMPUTE)
    declared = Batch.objects.values_list("closes_at", flat=True)
    world.flush(NOON + 26 * MINUTE)
    # The tests' owner knows the fixed rule alone: it takes the end by the first event, and moves it no further.
    assert declared.get() == NOON + HOUR


def test_flush_closes_them_now(world: World) -> None:
    declare(Fixed(3 * HOUR))
    assert apply(policy_changes(), Answer.FLUSH) == 1
    assert flushed(world, 26 * MINUTE) == ("SEALED", HOUR, 2)


def test_what_was_closed_meanwhile_stays_as_it_is(world: World) -> None:
    declare(Fixed(3 * HOUR))
    changes = list(policy_changes())
    assert flushed(world, 2 * HOUR, due=True)[0] == "SEALED"
    apply(changes, Answer.RECOMPUTE)
    assert flushed(world, 2 * HOUR, due=True) == ("SEALED", HOUR, 2)
    assert Event.objects.filter(state="PENDING").count() == 0


@pytest.mark.parametrize("answer", [Answer.RECOMPUTE, Answer.FLUSH])
def test_a_batch_that_was_opened_since_stays_as_it_is(world: World, answer: Answer) -> None:
    declare(Fixed(30 * HOUR))
    changes = list(policy_changes())
    assert flushed(world, 2 * HOUR, due=True)[0] == "SEALED"
    notify("p", ADA, occurred_at=NOON + 2 * HOUR)
    world.flush(NOON + 2 * HOUR)
    assert apply(changes, answer) == 1
    world.flush(NOON + 2 * HOUR + MINUTE)
    assert Batch.objects.values_list("state", "closes_at").get(state="OPEN") == ("OPEN", NOON + 3 * HOUR)
    assert Event.objects.filter(state="PENDING").count() == 0


def test_the_command_lists_and_applies(world: World) -> None:
    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["policies", *words])
        return result.exit_code, result.output

    declare(Fixed(3 * HOUR))
    code, output = run("p", "--changed")
    assert code == 0
    assert output.splitlines()[0] == (
        "p: a window of 3:00:00, by null; 1 open batch would end at another time, or move otherwise"
    )
    assert "p: a window of 3:00:00, by null; 1 open batch" in run()[1]
    assert "hourly: a window of 1:00:00, by inbox\n" in run()[1]
    assert "hourly" not in run("--changed")[1]
    assert "ends 2026-03-01 13:00:00+00:00, declared 2026-03-01 15:00:00+00:00" in output
    (row,) = json.loads(run("--json")[1])
    assert (row["recipient"], row["declared"]) == (ADA, "2026-03-01 15:00:00+00:00")
    assert Event.objects.filter(is_flush=True).count() == 0, "a dry run"
    assert run("--apply", "recompute")[0] == 0
    assert flushed(world, 26 * MINUTE) == ("OPEN", 3 * HOUR, 2)
    assert run("nobody")[0] == 2
