"""Sealing obeys what recipients and tenants wish, and says of every event that is not told why."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta

import psycopg
import pytest

from pgsupervise.django_app.policies import Cap
from pgsupervise.django_app.preferences import set_preference, set_recipient, set_tenant_preference
from pgsupervise.metrics.instruments import current
from pgsupervise.partitions import batches
from pgsupervise.partitions.batches import seal_batches
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.rows import DueBatch, Withheld
from pgsupervise.partitions.states import Reason
from tests.integration.test_notification_rows import ADA, BUCKET, NOON
from tests.integration.wishing import HOUR, Wishing, policy
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
MUTED, FOLDED = ("FILTERED", "muted"), ("FOLDED", "")


@pytest.fixture
def wishing(connect: Connect) -> Iterator[Wishing]:
    with own_registries():
        policy("news", category="marketing")
        policy("bills", category="money")
        policy("security", required=True)
        yield Wishing(connect)


def test_where_nothing_is_wished_a_digest_goes_by_every_channel_that_its_policy_has(wishing: Wishing) -> None:
    wishing.event("news")
    wishing.flush(NOON + HOUR)
    assert wishing.sent_by() == ["inbox", "sendgrid"]
    assert wishing.batches() == [("SEALED", "")]


def test_what_is_muted_is_sealed_without_a_message_and_its_events_say_why(wishing: Wishing) -> None:
    set_preference(ADA, category="marketing", muted=True)
    wishing.event("news"), wishing.event("news"), wishing.event("bills")
    wishing.flush(NOON + HOUR)
    assert sorted(wishing.batches()) == [("SEALED", ""), ("SEALED", "muted")]
    assert wishing.events() == [MUTED, MUTED, FOLDED]
    assert wishing.rows("SELECT DISTINCT policy FROM pgsupervise_delivery") == ["bills"]
    assert wishing.rows("SELECT count(*) FROM pgsupervise_event WHERE batch_id IS NULL") == [0], "still in their batch"


def test_a_required_policy_is_told_whatever_is_muted(wishing: Wishing) -> None:
    set_preference(ADA, muted=True, channels=[])
    wishing.event("security"), wishing.event("news")
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [FOLDED, MUTED]
    assert wishing.sent_by() == ["inbox", "sendgrid"]


def test_a_tenants_word_counts_for_those_who_have_said_nothing_and_for_its_own_events_only(wishing: Wishing) -> None:
    set_tenant_preference("acme", muted=True)
    set_preference(ADA, policy="bills", muted=False)
    wishing.event("news", tenant="acme"), wishing.event("news", tenant="other"), wishing.event("news")
    wishing.event("bills", tenant="acme")
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [MUTED, FOLDED, FOLDED, FOLDED]


def test_one_delivery_for_each_channel_that_is_wished(wishing: Wishing) -> None:
    set_preference(ADA, channels=["sendgrid", "null"])
    wishing.event("news")
    wishing.flush(NOON + HOUR)
    assert wishing.sent_by() == ["sendgrid"], "of the policy's channels those that are wished"
    set_preference(ADA, policy="news", channels=[])
    wishing.event("news", NOON + 3 * HOUR)
    wishing.flush(NOON + 5 * HOUR)
    assert wishing.sent_by() == ["sendgrid"]
    assert wishing.events()[1] == MUTED


def test_a_digest_below_the_minimum_is_not_sent(wishing: Wishing) -> None:
    wishing.minimums = {"news": 2}
    wishing.event("news")
    wishing.event("news", NOON + 2 * HOUR), wishing.event("news", NOON + 2 * HOUR)
    wishing.flush(NOON + 9 * HOUR)
    assert wishing.batches() == [("SEALED", "below minimum"), ("SEALED", "")]
    assert wishing.events() == [("FILTERED", "below minimum"), FOLDED, FOLDED]
    assert len(wishing.sent_by()) == 2


def test_a_batch_from_which_all_was_taken_is_sealed_as_empty(wishing: Wishing) -> None:
    wishing.event("news")
    wishing.flush(NOON)
    wishing.connection.execute("UPDATE pgsupervise_event SET state = 'RETRACTED'")
    wishing.flush(NOON + HOUR)
    assert wishing.batches() == [("SEALED", "empty")]
    assert wishing.events() == [("RETRACTED", "")], "a reason of its own it keeps"
    assert wishing.sent_by() == []


def test_a_digest_of_several_policies_leaves_out_those_that_are_muted(wishing: Wishing) -> None:
    wishing.hosts = {"news": "security"}
    set_preference(ADA, policy="news", muted=True)
    wishing.event("news"), wishing.event("security")
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [MUTED, FOLDED]
    assert wishing.rows("SELECT payload->'item_ids' FROM pgsupervise_delivery") == [[2], [2]]
    wishing.event("news", NOON + 2 * HOUR)
    wishing.flush(NOON + 4 * HOUR)
    assert wishing.batches() == [("SEALED", ""), ("SEALED", "muted")], "nothing else was in it"
    wishing.minimums = {"security": 2}
    wishing.event("news", NOON + 5 * HOUR), wishing.event("security", NOON + 5 * HOUR)
    wishing.flush(NOON + 7 * HOUR)
    assert wishing.batches()[2] == ("SEALED", "below minimum"), "without those that are muted"


def test_who_has_muted_a_digest_still_gets_those_policies_in_it_that_are_not(wishing: Wishing) -> None:
    wishing.hosts = {"news": "bills"}
    set_preference(ADA, policy="bills", muted=True)
    wishing.event("news"), wishing.event("bills")
    wishing.flush(NOON + HOUR)
    assert wishing.events() == [FOLDED, MUTED]
    assert wishing.rows("SELECT payload->'item_ids' FROM pgsupervise_delivery") == [[1], [1]]
    wishing.event("bills", NOON + 2 * HOUR)
    wishing.flush(NOON + 4 * HOUR)
    assert wishing.batches() == [("SEALED", ""), ("SEALED", "muted")]
    set_preference(ADA, policy="bills", channels=[])
    wishing.event("news", NOON + 5 * HOUR)
    wishing.flush(NOON + 7 * HOUR)
    assert wishing.batches()[2] == ("SEALED", "muted"), "there is no channel by which it could go"


def counted() -> dict[str, float]:
    """Return what sealing counts, by metric and labels."""
    made = current()
    names = ("batches_sealed_total", "batches_withheld_total", "events_left_out_total", "digest_items_sum")
    families = (made.batches_sealed, made.batches_withheld, made.events_left_out, made.digest_items)
    samples = [sample for family in families for metric in family.collect() for sample in metric.samples]
    found = {(sample.name.removeprefix("pgsupervise_"), *sample.labels.values()): sample.value for sample in samples}
    return {" ".join(key): value for key, value in found.items() if key[0] in names}


def test_what_is_withheld_is_counted_by_its_reason_and_not_as_sealed(wishing: Wishing) -> None:
    before = counted()
    wishing.hosts = {"news": "security"}
    wishing.minimums = {"bills": 3}
    set_preference(ADA, policy="news", muted=True)
    wishing.event("security"), wishing.event("security"), wishing.event("news"), wishing.event("bills")
    wishing.event("news", NOON + 3 * HOUR)
    policy("told", leaves_out_own=True)
    wishing.event("told", actor=ADA)
    wishing.flush(NOON + 9 * HOUR)
    more = {name: value - before.get(name, 0) for name, value in counted().items()}
    assert {name: value for name, value in more.items() if value} == {
        "batches_sealed_total security": 1,
        "digest_items_sum": 2,
        "batches_withheld_total security muted": 1,
        "batches_withheld_total bills below minimum": 1,
        "events_left_out_total news muted": 2,
        "events_left_out_total bills below minimum": 1,
        "events_left_out_total told own action": 1,
    }


def test_what_is_left_of_a_digest_waits_as_a_whole_one_would(wishing: Wishing) -> None:
    wishing.hosts = {"news": "security"}
    set_preference(ADA, policy="news", muted=True)
    set_recipient(ADA, quiet_from=time(12), quiet_until=time(15))
    wishing.event("news"), wishing.event("security")
    wishing.flush(NOON + HOUR)
    rows = wishing.rows("SELECT payload->'item_ids', not_before FROM pgsupervise_delivery")
    assert rows == [([2], NOON + 3 * HOUR)] * 2


def test_who_is_no_longer_the_owner_withholds_nothing(wishing: Wishing) -> None:
    wishing.event("news")
    wishing.flush(NOON)
    (due,) = batches.due_batches(wishing.connection, bucket=BUCKET, policies=["news"], clock=NOON + HOUR).batches
    assert isinstance(due, DueBatch)
    rendered = [(due, Withheld(Reason.MUTED))]
    epoch = wishing.epochs[BUCKET] - 1
    with pytest.raises(LeaseLostError):
        seal_batches(wishing.connection, bucket=BUCKET, owner=wishing.owner, epoch=epoch, rendered=rendered)
    assert (wishing.events(), wishing.batches()) == ([FOLDED], [("OPEN", "")])


def test_a_digest_waits_for_the_end_of_the_quiet_hours_in_its_recipients_own_zone(wishing: Wishing) -> None:
    set_recipient(ADA, time_zone="America/New_York", quiet_from=time(22), quiet_until=time(7))
    night = datetime(2026, 3, 8, 4, 30, tzinfo=UTC)  # half past eleven in the evening, before the clocks go forward
    wishing.event("news", night - HOUR)
    wishing.flush(night)
    morning = datetime(2026, 3, 8, 11, tzinfo=UTC)
    assert wishing.rows("SELECT DISTINCT not_before FROM pgsupervise_delivery") == [morning]
    assert wishing.rows("SELECT DISTINCT state FROM pgsupervise_batch") == ["SEALED"], "what is in it is decided"
    assert wishing.claim() == []
    wishing.clock(morning - timedelta(seconds=1))
    assert wishing.claim() == []
    wishing.clock(morning)
    assert len(wishing.claim()) == 2


def test_by_day_nothing_waits(wishing: Wishing) -> None:
    set_recipient(ADA, time_zone="Europe/Rome", quiet_from=time(22), quiet_until=time(7))
    wishing.event("news")
    wishing.flush(NOON + HOUR)
    assert len(wishing.claim()) == 2


def test_digests_above_the_cap_wait_and_all_of_them_arrive(wishing: Wishing) -> None:
    policy("capped", cap=Cap(2, per=timedelta(days=1)))
    for hour in (0, 2, 4, 6, 8):
        wishing.event("capped", NOON + hour * HOUR)
    wishing.event("capped", NOON, recipient=ADA, tenant="acme")  # the cap is of the recipient, whichever the key
    wishing.flush(NOON + 12 * HOUR)
    day = timedelta(days=1)
    times = wishing.rows("SELECT not_before FROM pgsupervise_delivery WHERE channel = 'inbox' ORDER BY id")
    noon = NOON + 12 * HOUR
    assert times == [noon, noon, noon + day, noon + day, noon + 2 * day, noon + 2 * day]
    wishing.event("capped", NOON + 12 * HOUR)
    wishing.flush(NOON + 14 * HOUR)
    times = wishing.rows("SELECT not_before FROM pgsupervise_delivery WHERE channel = 'inbox' ORDER BY id")
    assert times[6:] == [noon + 3 * day], "what was sealed before counts"
    wishing.clock(noon + 9 * day)
    assert len(wishing.claim()) == 14


def test_the_cap_counts_what_arrived_or_may_and_not_what_was_skipped(wishing: Wishing) -> None:
    policy("capped", cap=Cap(1, per=timedelta(days=1)))
    wishing.event("capped")
    wishing.flush(NOON + HOUR)
    wishing.connection.execute("UPDATE pgsupervise_delivery SET state = 'SKIPPED'")
    wishing.event("capped", NOON + 2 * HOUR)
    wishing.flush(NOON + 3 * HOUR)
    assert len(wishing.claim()) == 2


def test_a_capped_digest_in_quiet_hours_waits_for_both(wishing: Wishing) -> None:
    policy("capped", cap=Cap(1, per=12 * HOUR))
    set_recipient(ADA, quiet_from=time(22), quiet_until=time(7))
    wishing.event("capped", NOON), wishing.event("capped", NOON + 2 * HOUR)
    wishing.flush(NOON + 3 * HOUR)
    times = wishing.rows("SELECT not_before FROM pgsupervise_delivery WHERE channel = 'inbox' ORDER BY id")
    assert times == [NOON + 3 * HOUR, NOON + 19 * HOUR], "the cap allows it at three in the morning"


def test_a_digest_that_waits_for_its_cap_holds_back_its_own_policys_only(wishing: Wishing) -> None:
    policy("capped", cap=Cap(1, per=timedelta(days=1)))
    wishing.event("capped", NOON), wishing.event("capped", NOON + HOUR), wishing.event("news", NOON + HOUR)
    wishing.flush(NOON + 3 * HOUR)
    claimed = wishing.claim()
    assert sorted(delivery.policy for delivery in claimed) == ["capped", "capped", "news", "news"]
    wishing.event("news", NOON + 4 * HOUR)
    wishing.flush(NOON + 6 * HOUR)
    below = wishing.claim(after=max(delivery.id for delivery in claimed))
    assert below == [], "the first ones are being sent"
    wishing.connection.execute(
        "UPDATE pgsupervise_delivery SET state = 'ACCEPTED', claimed_by = NULL WHERE attempt > 0"
    )
    below = wishing.claim(after=max(delivery.id for delivery in claimed))
    assert [delivery.policy for delivery in below] == ["news", "news"], "whatever waits below the mark"
