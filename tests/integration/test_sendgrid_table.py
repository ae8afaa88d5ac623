"""Each row of the README's table, by the real channel, the real dispatcher and the tables."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.test import override_settings
from psycopg.types.json import Jsonb

from pgsupervise.django_app.composition import assemble
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.supervisor.claiming import Wanted
from pgsupervise.supervisor.dispatcher import Dispatcher
from pgsupervise.supervisor.mark_book import MarkBook
from pgsupervise.supervisor.ownership import Ownership
from pgsupervise.supervisor.senders import Senders
from tests.integration.world import owner_of
from tests.registries import own_registries
from tests.sendgrid_sending import KEY
from tests.sendgrid_server import SendGridServer
from tests.sendgrid_table import ROWS, Case, host_of, stated
from tests.waiting import wait_until

Connect = Callable[[], psycopg.Connection]
PEOPLE = {"resend": "ada@example.com", "hold": "bob@example.com", "reconcile": "cid@example.com"}
ADD = """
INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload)
VALUES (%s, 1, %s, %s, 'sendgrid', %s)
"""
ROW = """
SELECT state, attempt, error, provider_id, unknown_until IS NOT NULL, finished_at IS NOT NULL,
    extract(epoch FROM not_before - now())::float8
FROM pgsupervise_delivery WHERE recipient = %s
"""
REST = "SELECT extract(epoch FROM paused_until - now())::float8 FROM pgsupervise_channel WHERE name = 'sendgrid'"
BUSY_SECONDS = 60
"""By so much less a wait may be found, for the machine may have been busy."""
STATED = stated()
UNKNOWN = "by [`on_unknown`](#messages-of-unknown-fate)"
EFFECTS = {
    "accepted": "ACCEPTED",
    "refused": "REFUSED",
    "not sent": "RETRYING",
    "forbidden": "RETRYING",
    "paused": "PENDING",
    "unknown": UNKNOWN,
}
"""How what becomes of a delivery is worded in the README, to begin with."""


class Row:
    """A delivery after its call."""

    def __init__(self, values: Any) -> None:
        self.state, self.attempt, self.error, self.provider_id, self.in_grace, self.finished, self.wait = values


class World:
    """A dispatcher in this process, which owns the buckets of three people."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.owner, self.epochs = owner_of(connection, *sorted({bucket_of(each) for each in PEOPLE.values()}))

    def add(self, way: str, text: str) -> None:
        payload = {"to": PEOPLE[way], "from": "News <news@example.com>", "subject": "3 changes", "text": text}
        self.connection.execute(ADD, [bucket_of(PEOPLE[way]), f"p-{way}", PEOPLE[way], Jsonb(payload)])

    def row(self, way: str) -> Row:
        return Row(self.connection.execute(ROW, [PEOPLE[way]]).fetchone())

    @contextmanager
    def dispatching(self) -> Iterator[Dispatcher]:
        ownership = Ownership(timedelta(minutes=5))
        ownership.adopt(self.epochs)
        ownership.renewed(time.monotonic())
        project, stopped = assemble(), {"draining": threading.Event(), "holding": threading.Event()}
        context: Any = SimpleNamespace(project=project, ownership=ownership, id=self.owner, sending=0, **stopped)
        link: Any = SimpleNamespace(connection=self.connection)
        senders = Senders(project, 1, lambda: True)
        try:
            yield Dispatcher(context, link, senders, MarkBook(), lambda bucket, error: pytest.fail(str(error)))
        finally:
            senders.stop()

    def send(self, way: str, dispatcher: Dispatcher) -> None:
        bucket = bucket_of(PEOPLE[way])
        dispatcher.want(Wanted(bucket, self.epochs[bucket], safe=False, unsafe=True))
        dispatcher.dispatch()

        def answered() -> bool:
            dispatcher.write_answers(at_once=True)
            return dispatcher.is_empty

        wait_until(answered, 60, "the answer is written down")


@pytest.fixture
def world(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("no_proxy", "127.0.0.1,sendgrid.invalid")
    with own_registries():
        for way in PEOPLE:
            register(Policy(name=f"p-{way}", window=timedelta(hours=1), channel="sendgrid", on_unknown=way))  # type: ignore[arg-type]
        yield World(connect())


@pytest.fixture(scope="module")
def provider() -> Iterator[SendGridServer]:
    with SendGridServer() as server:
        yield server


def test_the_table_of_the_readme_is_what_is_tested() -> None:
    assert list(STATED) == list(ROWS)
    for outcome, effect in STATED.values():
        assert effect.startswith(EFFECTS[outcome])


@pytest.mark.parametrize(
    ("row", "case"), [pytest.param(row, case, id=case.name) for row, cases in ROWS.items() for case in cases]
)
def test_what_sendgrid_does_has_the_outcome_and_the_effect_that_the_readme_states(
    world: World, provider: SendGridServer, row: str, case: Case
) -> None:
    outcome, _ = STATED[row]
    ways = list(PEOPLE) if outcome == "unknown" else ["resend"]
    provider.default = case.behaviour
    with host_of(case, provider.url) as host:
        given = {"SENDGRID_API_KEY": KEY, "SENDGRID_HOST": host, "SENDGRID_TIMEOUT": case.timeout}
        with override_settings(PGSUPERVISE=given), world.dispatching() as dispatcher:
            for way in ways:
                world.add(way, case.text)
                world.send(way, dispatcher)
                CHECKS[outcome](world.row(way), way, case)
            rests = [seconds for (seconds,) in world.connection.execute(REST)]
            assert len(rests) == (outcome == "paused")
            assert ("sendgrid" in dispatcher.open_channels()[1]) == (outcome != "paused")
            for seconds in rests:
                _waits(seconds, case)
    assert provider.rejected == []


def _waits(seconds: float, case: Case) -> None:
    assert case.waits[0] - BUSY_SECONDS <= seconds <= case.waits[1] + 1


def _accepted(row: Row, way: str, case: Case) -> None:
    assert (row.state, row.attempt, row.error, row.finished) == ("ACCEPTED", 1, "", True)


def _refused(row: Row, way: str, case: Case) -> None:
    assert (row.state, row.attempt, row.finished) == ("REFUSED", 1, True)
    assert row.error.startswith(str(case.behaviour.status))


def _again(row: Row, way: str, case: Case) -> None:
    assert (row.state, row.attempt, row.finished) == ("RETRYING", 1, False)
    assert row.error
    _waits(row.wait, case)


def _paused(row: Row, way: str, case: Case) -> None:
    assert (row.state, row.attempt, row.finished) == ("PENDING", 0, False)
    assert row.error


def _unknown(row: Row, way: str, case: Case) -> None:
    assert row.error
    expected = {
        "resend": ("RETRYING", 1, False, False),
        "hold": ("UNKNOWN", 1, False, True),
        "reconcile": ("UNKNOWN", 1, True, True),
    }
    assert (row.state, row.attempt, row.in_grace, row.finished) == expected[way]


CHECKS = {
    "accepted": _accepted,
    "refused": _refused,
    "not sent": _again,
    "forbidden": _again,
    "paused": _paused,
    "unknown": _unknown,
}
