"""Several messages by one call: one refusal loses and doubles no other, and a recipient's digests stay in order."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Paused, Refused, SendOutcome, Unknown
from pgsupervise.supervisor.senders import Job, Senders
from tests.unit.test_senders import delivery, pool

Answer = Callable[[Sequence[ClaimedDelivery]], Sequence[SendOutcome | None]]


class Grouped:
    """Answers a call for many as told, and accepts what comes alone; it remembers each call's ids."""

    def __init__(self, answer: Answer, alone: Callable[[ClaimedDelivery], SendOutcome] | None = None) -> None:
        self._answer = answer
        self._alone = alone or (lambda one: Accepted(f"alone-{one.id}"))
        self.calls: list[list[int]] = []

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        self.calls.append([delivery.id])
        return self._alone(delivery)

    def send_together(self, deliveries: Sequence[ClaimedDelivery]) -> Sequence[SendOutcome | None]:
        self.calls.append([one.id for one in deliveries])
        return self._answer(deliveries)


def accepted(deliveries: Sequence[ClaimedDelivery]) -> list[SendOutcome | None]:
    return [Accepted(f"together-{one.id}") for one in deliveries]


def sent_by(channel: Grouped, *deliveries: ClaimedDelivery, together: int = 3, **more: object) -> list[SentDelivery]:
    with pool(channel, together=together, **more) as senders:  # type: ignore[arg-type]  # its own keywords
        senders.submit(Job(0, 1, deliveries))
        return list(senders.results.get(timeout=30).sent)


def people(*names: str) -> list[ClaimedDelivery]:
    return [delivery(number, recipient=name) for number, name in enumerate(names, 1)]


def test_as_many_go_together_as_the_channel_takes() -> None:
    channel = Grouped(accepted)
    results = sent_by(channel, *people("ann", "bob", "cid", "dee"))
    assert channel.calls == [[1, 2, 3], [4]], "what is alone goes alone"
    assert [result.provider_id for result in results] == ["together-1", "together-2", "together-3", "alone-4"]


def test_a_recipients_digests_go_by_different_calls_in_order() -> None:
    channel = Grouped(accepted)
    sent_by(channel, *people("ann", "bob", "ann", "bob", "ann"))
    assert channel.calls == [[1, 2], [3, 4], [5]]


def test_what_was_refused_together_goes_one_by_one_and_one_refusal_is_one_messages() -> None:
    channel = Grouped(lambda group: [None] * len(group), lambda one: Refused("no") if one.id == 2 else Accepted())
    results = sent_by(channel, *people("ann", "bob", "cid"))
    assert channel.calls == [[1, 2, 3], [1], [2], [3]]
    assert [result.state for result in results] == ["ACCEPTED", "REFUSED", "ACCEPTED"]


def test_only_what_was_not_taken_together_goes_alone() -> None:
    channel = Grouped(lambda group: [Accepted("first"), None, None], lambda one: Accepted(f"alone-{one.id}"))
    results = sent_by(channel, *people("ann", "bob", "cid"))
    assert channel.calls == [[1, 2, 3], [2], [3]]
    assert [result.provider_id for result in results] == ["first", "alone-2", "alone-3"]


def test_each_has_the_outcome_of_its_own() -> None:
    outcomes: list[SendOutcome | None] = [Refused("no"), NotSent("later"), Accepted("x")]
    results = sent_by(Grouped(lambda group: outcomes), *people("ann", "bob", "cid"))
    assert [result.state for result in results] == ["REFUSED", "RETRYING", "ACCEPTED"]


def test_of_an_unknown_call_all_are_unknown_each_by_its_policy() -> None:
    mine, held = delivery(1), delivery(2, recipient="bob", policy="held")
    results = sent_by(Grouped(lambda group: [Unknown("timeout")] * len(group)), mine, held)
    assert [result.state for result in results] == ["RETRYING", "UNKNOWN"]


def raising(group: Sequence[ClaimedDelivery]) -> Sequence[SendOutcome | None]:
    raise SystemExit("in the middle")


@pytest.mark.parametrize("answer", [raising, lambda group: [Accepted()], lambda group: ["sent"] * len(group)])
def test_a_channel_that_does_not_tell_leaves_all_unknown_and_sends_none_again(answer: Answer) -> None:
    channel = Grouped(answer)
    results = sent_by(channel, *(delivery(one.id, recipient=one.recipient, policy="held") for one in people("a", "b")))
    assert [result.state for result in results] == ["UNKNOWN", "UNKNOWN"]
    assert channel.calls == [[1, 2]]


def test_a_pause_in_the_middle_of_sending_one_by_one_leaves_the_rest_unburnt() -> None:
    channel = Grouped(lambda group: [None] * len(group), lambda one: Paused("429", timedelta(hours=1)))
    results = sent_by(channel, *people("ann", "bob", "cid"))
    assert channel.calls == [[1, 2, 3], [1]]
    assert [(result.state, result.burnt) for result in results] == [
        ("PENDING", False),
        ("PENDING", False),
        ("PENDING", False),
    ]


def test_what_must_not_begin_is_not_called() -> None:
    channel = Grouped(accepted)
    results = sent_by(channel, *people("ann", "bob"), may_send=lambda: False)
    assert (channel.calls, {result.burnt for result in results}) == ([], {False})


def test_jobs_that_wait_go_by_one_call_and_each_gets_its_own_answer() -> None:
    began, go_on = threading.Event(), threading.Event()

    def answer(group: Sequence[ClaimedDelivery]) -> list[SendOutcome | None]:
        began.set()
        assert go_on.wait(30)
        return accepted(group)

    channel = Grouped(answer)
    with pool(channel, together=10, threads=1) as senders:
        senders.submit(Job(0, 1, people("ann", "bob")))
        assert began.wait(30)
        for bucket in range(1, 4):
            senders.submit(Job(bucket, 1, [delivery(bucket * 10 + n, recipient=f"r{bucket}-{n}") for n in range(3)]))
        go_on.set()
        done = [senders.results.get(timeout=30) for _ in range(4)]
    assert channel.calls == [[1, 2], [10, 11, 12, 20, 21, 22, 30, 31, 32]]
    for one in done:
        assert [result.delivery for result in one.sent] == list(one.job.deliveries)


def test_the_word_to_end_is_heard_behind_what_goes_together() -> None:
    channel = Grouped(accepted)
    with pool(channel, together=10) as senders:
        for number in range(50):
            senders.submit(Job(0, 1, [delivery(number, recipient=str(number))]))
    results = [senders.results.get_nowait() for _ in range(50)]
    assert sorted(id_ for call in channel.calls for id_ in call) == list(range(50))
    assert len(results) == 50


def test_senders_here_and_now_send_together_too() -> None:
    channel = Grouped(accepted)
    with pool(channel, together=10) as senders:
        results = senders.send_here(Job(0, 1, people("ann", "bob")))
    assert channel.calls == [[1, 2]]
    assert isinstance(senders, Senders)
    assert len(results) == 2
