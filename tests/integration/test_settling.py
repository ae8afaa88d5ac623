"""The worker's part: each of its buckets is looked at, and one that fails stops none of the others."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from pgsupervise.metrics.instruments import current
from pgsupervise.partitions import provider_events
from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.windows import WindowRule
from pgsupervise.supervisor.project import OnUnknown, PolicySpec, Project
from pgsupervise.supervisor.settling import LOOK_SECONDS, REST_SECONDS, Settling
from tests.integration.test_provider_events import BUCKET, World

OTHER = (BUCKET + 1) % 256
RULE = WindowRule(window=timedelta(hours=1))


class Ownership:
    """Owns what it is told to."""

    def __init__(self, **epochs: int) -> None:
        self.epochs = {int(name.removeprefix("b")): epoch for name, epoch in epochs.items()}
        self.entered: list[int] = []

    def owned(self) -> dict[int, int]:
        return self.epochs

    def enter(self, bucket: int) -> int | None:
        self.entered.append(bucket)
        return self.epochs.get(bucket)

    def leave(self, bucket: int) -> None:
        self.entered.remove(bucket)


def settling(world: World, ownership: Ownership) -> Settling:
    policies = {"reconciled": PolicySpec(rule=RULE, on_unknown=OnUnknown.RECONCILE)}
    project = Project(
        conninfo={},
        tasks={},
        longest_send=timedelta(seconds=1),
        run_task=lambda task: pytest.fail("no task here"),
        policies=policies,
        render=lambda batch: [],
        channels={},
        close_connections=lambda: None,
    )
    context: Any = SimpleNamespace(project=project, id=world.owner, ownership=ownership)
    return Settling(context)


def counted(how: str) -> float:
    made = current()
    value: float = made.child(made.unknown_settled, "reconciled", how)._value.get()
    return value


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_what_was_told_is_heard_first_and_then_what_is_left_is_settled(
    connect: Callable[[], psycopg.Connection], ticks: list[float]
) -> None:
    world = World(connect())
    told, silent = world.unknown(), world.unknown()
    world.grace_ends()
    world.tell(told, "delivered")
    before = [counted(how) for how in ("proven", "resent", "held")]
    worker = settling(world, Ownership(**{f"b{BUCKET}": world.epoch}))
    worker.run_if_due(world.connection)
    assert [world.row(each) for each in (told, silent)] == ["ACCEPTED", "PENDING"], "the webhook is alive"
    after = [counted(how) for how in ("proven", "resent", "held")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 0]
    world.tell(silent, "processed")
    worker.run_if_due(world.connection)
    assert world.row(silent) == "PENDING", "it has just looked"
    ticks[0] += LOOK_SECONDS
    worker.run_if_due(world.connection)
    assert world.row(silent) == "ACCEPTED"


def test_a_bucket_that_fails_or_is_let_go_stops_no_other(
    connect: Callable[[], psycopg.Connection], monkeypatch: pytest.MonkeyPatch, ticks: list[float]
) -> None:
    world = World(connect())
    number = world.unknown()
    world.tell(number, "delivered")
    take_note = provider_events.take_note

    def fails_elsewhere(connection: Connection, *, bucket: int, **more: Any) -> Any:
        if bucket == OTHER:
            raise ValueError("a row that nobody can read")
        return take_note(connection, bucket=bucket, **more)

    monkeypatch.setattr(provider_events, "take_note", fails_elsewhere)
    monkeypatch.setattr(provider_events, "probe_provider", lambda *_: [OTHER, (BUCKET + 2) % 256, BUCKET])
    ownership = Ownership(**{f"b{BUCKET}": world.epoch, f"b{OTHER}": 1})
    worker = settling(world, ownership)
    worker.run_if_due(world.connection)
    assert world.row(number) == "ACCEPTED"
    assert ownership.entered == [(BUCKET + 2) % 256], "whatever it could enter it has left"
    monkeypatch.setattr(provider_events, "probe_provider", lambda *_: pytest.fail("it rests"))
    ticks[0] += REST_SECONDS - 1
    worker.run_if_due(world.connection)


def test_a_lost_connection_is_left_to_the_loop(connect: Callable[[], psycopg.Connection]) -> None:
    world = World(connect())
    world.tell(world.unknown(), "delivered")
    ownership = Ownership(**{f"b{BUCKET}": world.epoch})
    world.connection.close()
    with pytest.raises(psycopg.OperationalError):
        settling(world, ownership).run_if_due(world.connection)
    assert ownership.entered == []
