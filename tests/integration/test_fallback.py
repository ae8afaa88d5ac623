"""When a channel refuses for good the next one gets the digest: once, in order, as it was frozen at the seal."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pgsupervise.django_app import channels
from pgsupervise.django_app.channel_problems import fallback_problems
from pgsupervise.django_app.explaining import explain_recipient
from pgsupervise.django_app.models import Batch, Delivery
from pgsupervise.django_app.policies import Policy, PolicyError
from pgsupervise.django_app.preferences import set_preference
from pgsupervise.django_app.previewing import preview
from pgsupervise.partitions import deliveries, standbys
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.standbys import NOT_NEEDED, settle_left_standbys
from pgsupervise.partitions.states import DeliveryState
from tests.integration.test_notification_rows import ADA, BUCKET, NOON
from tests.integration.wishing import HOUR, Wishing, policy
from tests.registries import own_registries

NOT_NEEDED_ROW = ("SKIPPED", NOT_NEEDED)


@pytest.fixture
def wishing(connect: Callable[[], psycopg.Connection]) -> Iterator[Wishing]:
    with own_registries():
        channels.register("pigeon", channels.known()["sendgrid"])
        policy("news", channel="sendgrid", fallback=("pigeon", "inbox"))
        policy("both", channel=["sendgrid", "pigeon"], fallback="inbox")
        yield Wishing(connect)


def sealed(wishing: Wishing, name: str) -> None:
    wishing.event(name)
    wishing.flush(NOON + HOUR)


def finish(wishing: Wishing, state: DeliveryState, error: str = "") -> list[str]:
    """End what is claimed now; return the channels."""
    claimed = wishing.claim()
    sent = [SentDelivery(delivery, state, error=error, until=NOON + 9 * HOUR) for delivery in claimed]
    if sent:
        wrote(wishing, sent)
    return [delivery.channel for delivery in claimed]


def wrote(wishing: Wishing, sent: list[SentDelivery], epoch: int | None = None) -> set[int]:
    key = BUCKET, wishing.epochs[BUCKET] if epoch is None else epoch
    return deliveries.finish_deliveries(wishing.connection, wishing.owner, {key: sent})


def states(wishing: Wishing) -> dict[str, Any]:
    return {channel: (state, error) for channel, state, error in wishing.rows(
        "SELECT channel, state, error FROM pgsupervise_delivery ORDER BY id"
    )}  # fmt: skip


def test_the_next_channel_gets_the_digest_when_one_has_refused(wishing: Wishing) -> None:
    sealed(wishing, "news")
    frozen = wishing.rows("SELECT payload::text FROM pgsupervise_delivery ORDER BY id")
    assert [state for state, _ in states(wishing).values()] == ["PENDING", "STANDBY", "STANDBY"]
    assert finish(wishing, DeliveryState.REFUSED, "no such mailbox") == ["sendgrid"]
    assert finish(wishing, DeliveryState.REFUSED, "no such pigeon") == ["pigeon"]
    assert finish(wishing, DeliveryState.ACCEPTED) == ["inbox"]
    assert states(wishing) == {
        "sendgrid": ("REFUSED", "no such mailbox"),
        "pigeon": ("REFUSED", "no such pigeon"),
        "inbox": ("ACCEPTED", ""),
    }
    assert wishing.claim() == []
    assert wishing.rows("SELECT payload::text FROM pgsupervise_delivery ORDER BY id") == frozen
    assert "comment" in frozen[2] or '"text"' in frozen[2], "rendered at the seal"


def test_where_one_has_accepted_the_others_are_not_needed(wishing: Wishing) -> None:
    sealed(wishing, "news")
    finish(wishing, DeliveryState.REFUSED)
    finish(wishing, DeliveryState.ACCEPTED)
    assert states(wishing) == {"sendgrid": ("REFUSED", ""), "pigeon": ("ACCEPTED", ""), "inbox": NOT_NEEDED_ROW}


@pytest.mark.parametrize(
    "state", [DeliveryState.PENDING, DeliveryState.RETRYING, DeliveryState.WAITING, DeliveryState.UNKNOWN]
)
def test_what_may_still_arrive_keeps_the_others_waiting(wishing: Wishing, state: DeliveryState) -> None:
    sealed(wishing, "news")
    finish(wishing, state)
    assert [state for state, _ in states(wishing).values()] == [state, "STANDBY", "STANDBY"]


def test_of_several_channels_all_must_have_refused(wishing: Wishing) -> None:
    sealed(wishing, "both")
    first, second = wishing.claim()
    wrote(wishing, [SentDelivery(first, DeliveryState.REFUSED)])
    assert states(wishing)["inbox"] == ("STANDBY", "")
    wrote(wishing, [SentDelivery(second, DeliveryState.REFUSED)])
    assert states(wishing)["inbox"] == ("PENDING", "")
    assert finish(wishing, DeliveryState.ACCEPTED) == ["inbox"]


def test_of_several_channels_one_that_accepts_is_enough(wishing: Wishing) -> None:
    sealed(wishing, "both")
    first, second = wishing.claim()
    wrote(wishing, [SentDelivery(first, DeliveryState.REFUSED), SentDelivery(second, DeliveryState.ACCEPTED)])
    assert states(wishing)["inbox"] == NOT_NEEDED_ROW


def test_who_wants_none_gets_none_by_the_next_channel_either(wishing: Wishing) -> None:
    sealed(wishing, "news")
    set_preference(ADA, policy="news", muted=True)
    wishing.look_again(wishing.claim())
    assert [state for state, _ in states(wishing).values()] == ["SKIPPED"] * 3
    assert wishing.claim() == []


def test_who_mutes_it_between_two_channels_gets_none_by_the_next(wishing: Wishing) -> None:
    sealed(wishing, "news")
    finish(wishing, DeliveryState.REFUSED)
    set_preference(ADA, policy="news", muted=True)
    wishing.look_again(wishing.claim())
    assert [state for state, _ in states(wishing).values()][:2] == ["REFUSED", "SKIPPED"]


def test_who_wants_no_channel_any_more_gets_none_by_the_next_either(wishing: Wishing) -> None:
    sealed(wishing, "news")
    finish(wishing, DeliveryState.REFUSED)
    set_preference(ADA, policy="news", channels=[])
    for _ in range(2):
        wishing.look_again(wishing.claim())
    assert [state for state, _ in states(wishing).values()] == ["REFUSED", "SKIPPED", "SKIPPED"]


def test_a_stale_worker_hands_nothing_on(wishing: Wishing) -> None:
    sealed(wishing, "news")
    claimed = wishing.claim()
    assert wrote(wishing, [SentDelivery(one, DeliveryState.REFUSED) for one in claimed], epoch=0) == set()
    assert states(wishing)["pigeon"] == ("STANDBY", "")


@pytest.mark.parametrize(("by_hand", "then"), [("REFUSED", "PENDING"), ("ACCEPTED", "SKIPPED")])
def test_a_decision_by_hand_is_found_by_the_owner(wishing: Wishing, by_hand: str, then: str) -> None:
    sealed(wishing, "news")
    finish(wishing, DeliveryState.UNKNOWN)
    assert settle_left_standbys(wishing.connection, wishing.owner, 0) > 0
    assert states(wishing)["pigeon"] == ("STANDBY", "")
    Delivery.objects.filter(state="UNKNOWN").update(state=by_hand)
    last = settle_left_standbys(wishing.connection, wishing.owner, 0)
    assert states(wishing)["pigeon"][0] == then
    assert settle_left_standbys(wishing.connection, wishing.owner, last) == 0, "the next look begins anew"


def test_what_waits_in_others_buckets_keeps_nobody_from_its_own(
    wishing: Wishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = "INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload, state) "
    others += "SELECT %s, -n, 'news', 'bob', 'inbox', '{}', 'STANDBY' FROM generate_series(1, 3) n"
    wishing.connection.execute(others, [bucket_of("bob")])
    wishing.connection.execute("UPDATE pgsupervise_lease SET owner_id = NULL WHERE bucket = %s", [bucket_of("bob")])
    sealed(wishing, "news")
    finish(wishing, DeliveryState.UNKNOWN)
    Delivery.objects.filter(state="UNKNOWN").update(state="REFUSED")
    monkeypatch.setattr(standbys, "PAGE", 2)
    seen = settle_left_standbys(wishing.connection, wishing.owner, 0)
    assert states(wishing)["pigeon"] == ("STANDBY", ""), "it is on the next page"
    settle_left_standbys(wishing.connection, wishing.owner, seen)
    assert states(wishing)["pigeon"] == ("PENDING", "")


def test_a_preview_says_what_is_in_reserve(wishing: Wishing) -> None:
    wishing.event("news")
    wishing.flush(NOON)
    shown = preview(Batch.objects.get()).as_dict()
    assert [(one["channel"], one["in_reserve"]) for one in shown["messages"]] == [
        ("sendgrid", False),
        ("pigeon", True),
        ("inbox", True),
    ]


def test_a_policy_without_fallback_asks_nothing(wishing: Wishing) -> None:
    policy("plain")
    sealed(wishing, "plain")
    assert all("fallbacks" not in delivery.payload for delivery in wishing.claim())


def test_it_is_explained(wishing: Wishing) -> None:
    sealed(wishing, "news")
    finish(wishing, DeliveryState.REFUSED, "no such mailbox")
    finish(wishing, DeliveryState.ACCEPTED)
    (explanation,) = explain_recipient(ADA)
    assert explanation.outcome == "sent"
    words = [f"{step.what} ({step.why})" for step in explanation.steps]
    assert any("by sendgrid: refused by the channel for good" in line and "no such mailbox" in line for line in words)
    assert any("by pigeon: accepted" in line for line in words)
    assert any("by inbox: left out" in line and "another channel has accepted" in line for line in words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fallback": "inbox"}, "fallback has ['inbox'], which channel has too"),
        ({"fallback": ["a", "a"]}, "it must be a channel's name, or a list of different ones"),
        ({"fallback": 3}, "fallback is 3"),
        ({"fallback": ""}, "fallback is empty"),
        ({"digest": "news", "window": None, "channel": "inbox", "fallback": "pigeon"}, "digest 'news' decides"),
    ],
)
def test_a_faulty_fallback_is_refused(wishing: Wishing, given: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        policy("faulty", **given)
    assert words in str(refused.value)


def test_behind_a_channel_that_refuses_nothing_none_is_asked() -> None:
    faulty = Policy(name="p", window=HOUR, channel="null", fallback="inbox")
    (problem,) = fallback_problems(faulty)
    assert "'null' accepts everything" in problem


def test_a_delivery_knows_what_is_in_reserve(wishing: Wishing) -> None:
    sealed(wishing, "news")
    (claimed,) = wishing.claim()
    assert isinstance(claimed, ClaimedDelivery)
    assert claimed.payload["fallbacks"] == ["pigeon", "inbox"]
