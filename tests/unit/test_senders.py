"""The sender pool with channels that behave in every way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

import pytest

from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.states import DeliveryState
from pgsupervise.partitions.windows import WindowRule
from pgsupervise.supervisor.judging import MOST_ATTEMPTS, UNKNOWN_REST
from pgsupervise.supervisor.outcomes import Accepted, Forbidden, NotSent, Paused, Refused, SendOutcome, Unknown
from pgsupervise.supervisor.project import Channel, ChannelSpec, OnUnknown, PolicySpec, Project
from pgsupervise.supervisor.senders import MOST_IN_REACH, Job, Senders

RULE = WindowRule(window=timedelta(hours=1))


class Scripted:
    """A channel that answers as told, and remembers what it was asked to send."""

    def __init__(self, answer: Callable[[ClaimedDelivery], SendOutcome]) -> None:
        self._answer = answer
        self.seen: list[int] = []

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        self.seen.append(delivery.id)
        return self._answer(delivery)


def delivery(
    number: int = 1, *, attempt: int = 1, recipient: str = "ada", policy: str = "p", copies: int = 0
) -> ClaimedDelivery:
    return ClaimedDelivery(number, 0, 1, number, policy, recipient, "mail", {}, attempt, copies=copies)


@contextmanager
def pool(
    channel: Channel,
    *,
    safe: bool = False,
    may_send: Callable[[], bool] = lambda: True,
    together: int = 1,
    tells_later: bool = True,
    threads: int = 2,
    build: Callable[[], Channel] | None = None,
) -> Iterator[Senders]:
    project = Project(
        conninfo={},
        tasks={},
        longest_send=timedelta(seconds=1),
        run_task=lambda task: pytest.fail("no task here"),
        policies={
            "p": PolicySpec(rule=RULE),
            "held": PolicySpec(rule=RULE, on_unknown=OnUnknown.HOLD),
            "told": PolicySpec(rule=RULE, on_unknown=OnUnknown.RECONCILE),
        },
        unknown_grace=timedelta(minutes=7),
        render=lambda batch: [],
        channels={
            "mail": ChannelSpec(
                build=build or (lambda: channel), resend_is_safe=safe, together=together, tells_later=tells_later
            )
        },
        close_connections=lambda: None,
    )
    senders = Senders(project, threads, may_send)
    yield senders
    senders.stop()


def sent(senders: Senders, *deliveries: ClaimedDelivery) -> list[SentDelivery]:
    senders.submit(Job(0, 1, deliveries))
    done = senders.results.get(timeout=30)
    return list(done.sent)


@pytest.mark.parametrize(
    ("outcome", "state", "burnt"),
    [
        (Accepted("x1"), DeliveryState.ACCEPTED, True),
        (Refused("no such mailbox"), DeliveryState.REFUSED, True),
        (NotSent("503"), DeliveryState.RETRYING, True),
        (Paused("429", timedelta(seconds=30)), DeliveryState.PENDING, False),
        (Forbidden("403"), DeliveryState.RETRYING, True),
        (Unknown("timeout"), DeliveryState.RETRYING, True),
    ],
)
def test_each_outcome_has_its_state(outcome: SendOutcome, state: DeliveryState, burnt: bool) -> None:
    with pool(Scripted(lambda one: outcome)) as senders:
        (result,) = sent(senders, delivery())
    assert (result.state, result.burnt) == (state, burnt)


def test_unknown_waits_before_it_goes_again_or_is_held_where_its_policy_says_so() -> None:
    with pool(Scripted(lambda one: Unknown("timeout"))) as senders:
        assert sent(senders, delivery())[0].delay == UNKNOWN_REST
        assert sent(senders, delivery(policy="held"))[0].state == DeliveryState.UNKNOWN
        assert sent(senders, delivery(policy="no longer declared"))[0].delay == timedelta(0)
        (result,) = sent(senders, delivery(policy="told"))
        assert (result.state, result.delay) == (DeliveryState.UNKNOWN, timedelta(minutes=7))
        (result,) = sent(senders, delivery(policy="told", attempt=MOST_ATTEMPTS))
        assert (result.state, result.delay) == (DeliveryState.UNKNOWN, timedelta(0)), "tries come to an end"
    with pool(Scripted(lambda one: Unknown("timeout")), tells_later=False) as senders:
        (result,) = sent(senders, delivery(policy="told"))
        assert (result.state, result.delay) == (DeliveryState.UNKNOWN, timedelta(0)), "nobody tells by this channel"
        assert sent(senders, delivery())[0].state == DeliveryState.RETRYING
    with pool(Scripted(lambda one: Unknown("timeout")), safe=True) as senders:
        assert sent(senders, delivery(policy="held"))[0].state == DeliveryState.RETRYING


@pytest.mark.parametrize(("call_seconds", "reach"), [(1.0, 4), (0.025, 4), (0.005, 20), (1e-5, MOST_IN_REACH)])
def test_in_hand_is_what_the_threads_do_in_a_moment_and_two_each_at_least(
    monkeypatch: pytest.MonkeyPatch, call_seconds: float, reach: int
) -> None:
    ticks = count(step=call_seconds)
    with pool(Scripted(lambda one: Accepted("x"))) as senders:
        assert senders.reach() == 4, "nothing is known of the calls yet"
        monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
        sent(senders, *(delivery(number) for number in range(300)))
        monkeypatch.undo()
        assert senders.reach() == reach


def test_a_retry_after_is_honoured_and_the_last_attempt_is_the_last() -> None:
    with pool(Scripted(lambda one: NotSent("503", timedelta(seconds=77)))) as senders:
        assert sent(senders, delivery())[0].delay == timedelta(seconds=77)
        (result,) = sent(senders, delivery(attempt=MOST_ATTEMPTS))
    assert result.state == DeliveryState.REFUSED
    assert "given up after 12 tries: 503" in result.error


@pytest.mark.parametrize(
    ("outcome", "copies", "attempt"),
    [
        (Refused("550 no"), 1, 2),
        (Forbidden("403 no"), 1, 3),
        (NotSent("503", None), 1, MOST_ATTEMPTS),
        (Unknown("timeout"), 0, MOST_ATTEMPTS),
    ],
)
def test_what_may_have_arrived_by_a_try_before_is_not_called_refused(
    outcome: SendOutcome, copies: int, attempt: int
) -> None:
    with pool(Scripted(lambda one: outcome)) as senders:
        (result,) = sent(senders, delivery(attempt=attempt, copies=copies))
    assert (result.state, result.delay) == (DeliveryState.UNKNOWN, timedelta(0)), (
        "a person decides, no channel in reserve"
    )
    assert result.error.endswith("(it may have arrived by a try before)")


def test_a_channel_that_raises_even_systemexit_leaves_an_unknown_and_a_living_thread() -> None:
    def raises(one: ClaimedDelivery) -> SendOutcome:
        raise SystemExit(one.id)

    with pool(Scripted(raises)) as senders:
        for _ in range(4):
            (result,) = sent(senders, delivery(policy="held"))
            assert (result.state, result.error) == (DeliveryState.UNKNOWN, "SystemExit in the channel")


def test_a_channel_that_returns_no_outcome_leaves_an_unknown_too() -> None:
    with pool(Scripted(lambda one: None)) as senders:  # type: ignore[arg-type,return-value]  # the fault under test
        (result,) = sent(senders, delivery(policy="held"))
    assert (result.state, result.error) == (DeliveryState.UNKNOWN, "TypeError in the channel")


def test_the_later_digests_of_a_recipient_stay_behind_one_that_was_not_sent() -> None:
    channel = Scripted(lambda one: NotSent("503") if one.id == 1 else Accepted())
    with pool(channel) as senders:
        results = sent(senders, delivery(1), delivery(2), delivery(3, recipient="bob"))
    assert channel.seen == [1, 3]
    assert [result.state for result in results] == ["RETRYING", "PENDING", "ACCEPTED"]
    assert not results[1].burnt


def test_a_paused_channel_is_not_asked_again() -> None:
    channel = Scripted(lambda one: Paused("429", timedelta(hours=1)))
    with pool(channel) as senders:
        sent(senders, delivery(1), delivery(2, recipient="bob"))
        assert senders.gate.open_channels() == []
    assert channel.seen == [1]


def forbids(one: ClaimedDelivery) -> SendOutcome:
    return Forbidden("403 no")


def test_a_message_that_is_forbidden_is_refused_at_its_third_try_while_others_go() -> None:
    channel = Scripted(lambda one: forbids(one) if one.recipient == "bad" else Accepted())
    with pool(channel) as senders:
        for attempt, state in ((1, "RETRYING"), (2, "RETRYING"), (3, "REFUSED")):
            (result, good) = sent(senders, delivery(1, attempt=attempt, recipient="bad"), delivery(9))
            assert (result.state, result.burnt, good.state) == (state, True, "ACCEPTED")
        assert senders.gate.open_channels() == ["mail"]
    assert result.error == "403 no"


def test_the_third_message_in_a_row_that_is_forbidden_pauses_the_channel_and_burns_nothing() -> None:
    channel = Scripted(forbids)
    with pool(channel) as senders:
        sent(senders, delivery(1))
        results = sent(senders, *(delivery(number, recipient=f"r{number}") for number in (1, 2, 3, 4)))
        assert senders.gate.open_channels() == []
    assert channel.seen == [1, 1, 2, 3], "the same message again is no other one"
    assert [result.burnt for result in results] == [True, True, False, False]
    assert results[2].delay > timedelta(seconds=60), "after the pause another one goes first"


def test_a_message_of_unknown_fate_goes_out_at_most_three_times_then_it_is_held() -> None:
    with pool(Scripted(lambda one: Unknown("timeout"))) as senders:
        first, second, third = (sent(senders, delivery(copies=copies))[0] for copies in range(3))
    assert [result.state for result in (first, second, third)] == ["RETRYING", "RETRYING", "UNKNOWN"]
    assert all(result.in_doubt for result in (first, second, third))
    assert third.error == "held: sent 3 times, of unknown fate: timeout"
    with pool(Scripted(lambda one: Unknown("timeout")), safe=True) as senders:
        assert sent(senders, delivery(copies=9))[0].state == "RETRYING", "nobody sees it twice"


def test_without_trust_nothing_is_sent() -> None:
    channel = Scripted(lambda one: Accepted())
    with pool(channel, may_send=lambda: False) as senders:
        (result,) = sent(senders, delivery())
    assert (channel.seen, result.state, result.burnt) == ([], DeliveryState.PENDING, False)


def test_what_postgresql_cannot_store_is_taken_out_of_a_channels_words() -> None:
    with pool(Scripted(lambda one: Refused("bad\0 \ud800" + "x" * 5000))) as senders:
        (result,) = sent(senders, delivery())
    assert result.error.startswith("bad ?x")
    assert len(result.error) == 1000


class Resting(Scripted):
    """Keeps something open, and says when it has closed it; closing may fail."""

    def __init__(self) -> None:
        super().__init__(lambda one: Accepted())
        self.rested = threading.Semaphore(0)

    def rest(self) -> None:
        self.rested.release()
        raise OSError("closed already")


def test_a_channel_rests_when_there_is_nothing_to_send_and_goes_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsupervise.supervisor.waiting_jobs.IDLE_SECONDS", 0.01)
    channel = Resting()
    with pool(channel, threads=1) as senders:
        sent(senders, delivery(1))
        assert channel.rested.acquire(timeout=30), "it is idle"
        assert sent(senders, delivery(2))[0].state == DeliveryState.ACCEPTED
        while channel.rested.acquire(blocking=False):
            pass
    assert channel.rested.acquire(timeout=30), "the worker ends"


def test_no_two_threads_share_a_channel() -> None:
    users: list[set[int]] = []
    together = threading.Barrier(2)

    class Own(Scripted):
        def __init__(self) -> None:
            super().__init__(lambda delivery: Accepted())
            users.append(set())
            self._users = users[-1]

        def send(self, delivery: ClaimedDelivery) -> SendOutcome:
            self._users.add(threading.get_ident())
            if delivery.id < 3:
                together.wait(30)  # so that neither thread sends both
            return super().send(delivery)

    with pool(Scripted(lambda delivery: Accepted()), build=Own) as senders:
        for number in range(1, 9):
            senders.submit(Job(0, 1, [delivery(number)]))
        for _ in range(8):
            senders.results.get(timeout=30)
    assert [len(threads) for threads in users] == [1, 1]
