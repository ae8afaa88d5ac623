"""Pauses through the real table: two supervisors as two boards, with a clock of the test's for what is theirs."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest

from pgsupervise.partitions import channels
from pgsupervise.supervisor.channel_board import READ_SECONDS, ChannelBoard, Stand
from pgsupervise.supervisor.link import Link
from pgsupervise.supervisor.outcomes import Accepted, Forbidden, NotSent, Paused, Refused, SendOutcome, Unknown
from pgsupervise.supervisor.pauses import Pauses
from tests.integration.world import one

Connect = Callable[[], psycopg.Connection]
MAIL = "mail"
LONG = Paused("429 slow down", timedelta(minutes=10))
OVER = Paused("429 slow down", timedelta(0))
STATE = "SELECT is_held, paused_until > now(), reason, by FROM pgsupervise_channel"


class Worker:
    """A worker of a supervisor of its own, at a time of its own."""

    def __init__(self, connection: psycopg.Connection, name: str) -> None:
        self.now = 1000.0
        self.link = cast(Link, SimpleNamespace(connection=connection))
        self.connection = connection
        self.pauses = Pauses(ChannelBoard([MAIL]), uuid4(), name, 10.0, lambda: self.now)

    def sync(self) -> Stand:
        """Tell and hear; what is told now must be heard later to be believed."""
        self.pauses.sync(self.link)
        self.now += READ_SECONDS
        self.pauses.sync(self.link)
        return self.pauses.stand(MAIL)

    def sent(self, outcome: SendOutcome, message: int = 1) -> bool:
        """Send a message, if it may be begun."""
        if not self.pauses.may_begin(MAIL, message):
            return False
        self.pauses.ended(MAIL, message, outcome)
        return True

    def may_try(self) -> bool:
        return self.pauses.take_trial(self.connection, MAIL)


@pytest.fixture
def workers(connect: Connect) -> tuple[Worker, Worker]:
    return Worker(connect(), "worker-0 on a"), Worker(connect(), "worker-0 on b")


def test_what_one_supervisor_finds_out_the_other_one_hears_of(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    assert first.sent(LONG)
    assert not first.sent(Accepted())
    assert (first.sync(), second.sync()) == (Stand.PAUSED, Stand.PAUSED)
    assert one(first.connection, STATE) == (False, True, "429 slow down", "worker-0 on a")


def test_one_worker_of_all_may_try_one_message_and_its_success_opens_the_channel(
    workers: tuple[Worker, Worker],
) -> None:
    first, second = workers
    assert first.sent(OVER)
    assert (first.sync(), second.sync()) == (Stand.TRIAL, Stand.TRIAL)
    assert [worker.may_try() for worker in (second, first, second)] == [True, False, True]
    assert not first.sent(Accepted(), 2)
    assert second.pauses.may_begin(MAIL, 3)
    assert not second.sent(Accepted(), 4), "a second message is none on trial"
    second.pauses.ended(MAIL, 3, Accepted())
    assert (second.sync(), first.sync()) == (Stand.OPEN, Stand.OPEN)
    assert first.sent(Accepted(), 5)


@pytest.mark.parametrize(
    ("outcome", "stand"),
    [
        (Accepted(), Stand.OPEN),
        (Refused("400"), Stand.OPEN),
        (LONG, Stand.PAUSED),
        (Forbidden("403"), Stand.PAUSED),
        (NotSent("503"), Stand.PAUSED),
        (Unknown("timeout"), Stand.PAUSED),
    ],
)
def test_only_an_answer_as_in_good_times_ends_a_pause(
    workers: tuple[Worker, Worker], outcome: SendOutcome, stand: Stand
) -> None:
    first, second = workers
    first.sent(OVER)
    first.sync()
    assert first.may_try()
    assert first.sent(outcome, 2)
    assert (first.sync(), second.sync()) == (stand, stand)


def test_a_right_to_try_that_is_not_needed_or_whose_worker_died_goes_to_another(
    workers: tuple[Worker, Worker],
) -> None:
    first, second = workers
    first.sent(OVER)
    first.sync()
    second.sync()
    assert first.may_try()
    first.pauses.drop_trials(first.link)
    assert second.may_try()
    assert second.pauses.may_begin(MAIL, 1)
    assert not first.may_try()
    first.connection.execute("UPDATE pgsupervise_channel SET trial_until = now()")  # so long it has been silent
    assert first.may_try()
    second.pauses.ended(MAIL, 1, Accepted())
    assert (second.sync(), first.sync()) == (Stand.PAUSED, Stand.TRIAL), "the right is no longer its own"


def test_a_message_on_trial_that_is_not_begun_after_all_leaves_the_right_unused(
    workers: tuple[Worker, Worker],
) -> None:
    first, _ = workers
    first.sent(OVER)
    first.sync()
    assert first.may_try()
    assert first.pauses.may_begin(MAIL, 2)
    assert first.pauses.may_begin(MAIL, 2), "its turn had not come"
    first.pauses.left(MAIL, 2)
    assert first.pauses.may_begin(MAIL, 3)


def test_a_pause_by_hand_outlasts_what_workers_find_out(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    channels.hold_channel(first.connection, MAIL, "new key", "ann")
    first.sent(OVER)
    assert (first.sync(), second.sync()) == (Stand.PAUSED, Stand.PAUSED)
    assert one(first.connection, STATE)[0::2] == (True, "new key")
    assert not first.may_try()
    assert channels.resume_channel(first.connection, MAIL, "ann")
    assert not channels.resume_channel(first.connection, MAIL, "ann")
    assert (first.sync(), second.sync()) == (Stand.OPEN, Stand.OPEN)


def test_what_could_not_be_told_is_told_later(workers: tuple[Worker, Worker], connect: Connect) -> None:
    first, second = workers
    first.sent(LONG)
    first.link = cast(Link, SimpleNamespace(connection=_Away()))
    with pytest.raises(psycopg.OperationalError):
        first.pauses.sync(first.link)
    assert second.sync() == Stand.OPEN
    first.link = cast(Link, SimpleNamespace(connection=connect()))
    assert (first.sync(), second.sync()) == (Stand.PAUSED, Stand.PAUSED)


class _Away:
    def execute(self, *args: Any) -> None:
        raise psycopg.OperationalError("the database is away")
