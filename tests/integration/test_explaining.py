"""Why did I, or did I not, get this: every fate of an event has its steps, its times and its reason."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time

import psycopg
import pytest
from click.testing import CliRunner
from django.contrib.auth.models import Group

from pgsupervise.django_app.explaining import Explanation, explain_event, explain_recipient
from pgsupervise.django_app.flush import flush
from pgsupervise.django_app.models import Batch, Delivery, Event, ProviderEvent
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.preferences import set_preference, set_recipient, set_tenant_preference
from pgsupervise.django_app.reading import mark_read
from pgsupervise.django_app.retracting import retract
from pgsupervise.django_app.testing import advance, flush_due, freeze
from pgsupervise.django_app.times import second
from pgsupervise.supervisor.cli import main
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, BUCKET, HOUR, NOON
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="null"))
        yield World(connect)


def explained(event_id: int) -> Explanation:
    found = explain_event(event_id)
    assert found
    return found


def story(event_id: int) -> list[str]:
    return [f"{what}|{why}" if why else what for _, what, why in explained(event_id).steps]


def test_an_event_that_was_sent_has_all_its_steps_with_their_times(world: World) -> None:
    group = Group.objects.create(name="trip")
    event_id = notify("p", ADA, actor="Bob", object="Trip", about=group, occurred_at=NOON)
    assert explained(event_id).outcome == "pending"
    assert story(event_id)[-1] == ("waits to be folded|its bucket's owner will soon, unless a transaction holds it")
    world.flush(NOON + HOUR / 2)
    assert explained(event_id).outcome == "open"
    assert explained(event_id).steps[1].why.startswith(f"after {second(Batch.objects.get().created_at)}, window from ")
    until = "2026-03-01 13:00:00+00:00"
    assert story(event_id)[-1] == f"waits to be sealed|its window is open until {until}, and it goes then"
    world.flush(NOON + 9 * HOUR, due=True)
    found = explained(event_id)
    batch = Batch.objects.get()
    event = Event.objects.get()
    assert found.outcome == "sent"
    assert event.created_at <= batch.created_at <= (batch.sealed_at or batch.created_at)
    assert found.steps[1].why.startswith(("between ", "at "))
    assert [what for _, what, _ in found.steps] == [
        "notified",
        "folded into batch 1",
        "batch 1 sealed",
        "message 1 by null: accepted by the channel",
    ]
    assert found.steps[0].why == (
        f"policy p, actor Bob, object Trip, about auth.group {group.pk}, occurred at 2026-03-01 12:00:00+00:00"
    )
    window = f", window from 2026-03-01 12:00:00+00:00 until {until}"
    assert found.steps[1].why.endswith(f"{window}, it would be by the policy: a window of 1:00:00 now, 1 event")
    batch, delivery = Batch.objects.get(), Delivery.objects.get()
    assert [at for at, _, _ in found.steps] == [found.event.created_at, None, batch.sealed_at, delivery.finished_at]


def test_what_was_left_out_says_why_and_when(world: World) -> None:
    taken, read, late = (notify("p", ADA, occurred_at=NOON) for _ in range(3))
    retract(taken)
    mark_read(ADA, [read])
    world.flush(NOON + 9 * HOUR, due=True)
    mark_read(ADA, [late])
    assert explained(taken).outcome == "retracted"
    assert explained(taken).steps[-1] == (Event.objects.get(pk=taken).left_out_at, "retracted", "it is in no digest")
    assert explained(taken).steps[-1].at is not None
    assert explained(read).outcome == "filtered"
    assert explained(read).steps[-1].why == "read: the recipient had read it before its batch was sealed"
    assert "read by the recipient|its batch was sealed already" in story(late)
    assert explained(late).outcome == "sent"


@pytest.mark.parametrize(
    ("columns", "outcome", "words"),
    [
        ("state = 'RETRYING', attempt = 2, error = 'HTTP 503', finished_at = NULL", "sealed",
         "message 1 by null: was not sent and is tried again|attempt 2, HTTP 503, not before"),
        ("state = 'WAITING', finished_at = NULL", "sealed",
         "message 1 by null: waits for the policy's cap|not before"),
        ("state = 'PENDING', finished_at = NULL", "sealed", "message 1 by null: waits to be sent"),
        ("state = 'REFUSED', attempt = 1, error = 'bad address'", "refused",
         "message 1 by null: refused by the channel for good|attempt 1, bad address"),
        ("state = 'UNKNOWN', attempt = 1, error = 'timed out'", "unknown",
         "message 1 by null: of unknown fate: nobody can tell whether the channel took it|attempt 1, timed out"),
        ("state = 'SKIPPED', error = 'muted'", "skipped",
         "message 1 by null: left out, for what the recipient did or wished after the seal|muted"),
        ("attempt = 1, provider_id = 'abc'", "sent", "attempt 1, its id there is abc"),
    ],
)  # fmt: skip
def test_each_fate_of_a_message_has_its_words(world: World, columns: str, outcome: str, words: str) -> None:
    event_id = notify("p", ADA, occurred_at=NOON)
    world.flush(NOON + 9 * HOUR, due=True)
    world.connection.execute(f"UPDATE pgsupervise_delivery SET {columns}".encode())  # noqa: S608 - the test's own
    assert explained(event_id).outcome == outcome
    assert words in story(event_id)[-1]


def test_what_a_provider_told_is_told_and_so_is_a_message_that_went_out_twice(world: World) -> None:
    event_id = notify("p", ADA, occurred_at=NOON)
    world.flush(NOON + 9 * HOUR, due=True)
    delivery = Delivery.objects.get()
    told = [("bounce", 2, NOON + 2 * HOUR, "no such user"), ("processed", 1, NOON + HOUR, "")]
    for kind, attempt, at, reason in told:
        ProviderEvent.objects.create(
            bucket=BUCKET, event_id=kind, kind=kind, delivery=delivery, attempt=attempt, occurred_at=at, reason=reason
        )
    Delivery.objects.update(state="UNKNOWN", provider_id="", attempt=2, error="timeout", unknown_until=None)
    assert "timeout, a person decides: pgsupervise deliveries resolve ... " in story(event_id)[-3]
    assert story(event_id)[-2:] == [
        f"message {delivery.pk}: the provider says processed|attempt 1",
        f"message {delivery.pk}: the provider says bounce|attempt 2, no such user",
    ]
    Delivery.objects.update(state="ACCEPTED", provider_id="x", proven_attempts=[1], duplicates=1)
    assert story(event_id)[-1].endswith("went out 2 times|the provider has taken attempts 1, 2")
    Delivery.objects.update(state="UNKNOWN", unknown_until=NOON)
    assert f"the provider may tell until {second(NOON)}" in "".join(story(event_id))


def test_what_waits_says_for_whom_or_what(world: World) -> None:
    register(Policy(name="of today", window=HOUR, channel="null"))
    unknown = notify("of today", ADA, occurred_at=NOON)
    mine = notify("p", ADA, occurred_at=NOON)
    world.connection.execute("UPDATE pgsupervise_event SET policy = 'of tomorrow' WHERE id = %s", [unknown])
    assert story(unknown)[-1].endswith("this code knows no policy 'of tomorrow': left for newer code")
    world.flush(NOON + HOUR / 2)
    world.connection.execute("UPDATE pgsupervise_batch SET error = 'no template'")
    assert "could not be rendered|no template; tried again at" in story(mine)[-1]
    world.connection.execute("UPDATE pgsupervise_batch SET error = '', state = 'CLOSED'")
    world.connection.execute("UPDATE pgsupervise_lease SET owner_id = NULL")
    assert story(mine)[-1].endswith(f"; nobody owns bucket {BUCKET}: is pgsupervise running?")
    world.connection.execute("UPDATE pgsupervise_batch SET state = 'SEALED', sealed_at = now(), reason = 'muted'")
    assert explained(mine).outcome == "not sent: muted"
    assert story(mine)[-1].endswith("without a message: muted: the recipient, or its tenant, has muted it")
    world.connection.execute("DELETE FROM pgsupervise_batch")
    assert explained(mine).outcome == "lost"


def test_why_a_batch_closed_is_told(db: str) -> None:
    with own_registries(), freeze(NOON):
        register(Policy(name="p", window=HOUR))
        register(Policy(name="full", window=HOUR, flush_at=2))
        register(Policy(name="first", window=HOUR, leading=True))
        asked = notify("p", ADA)
        full, _ = (notify("full", ADA) for _ in range(2))
        first = notify("first", ADA)
        advance(HOUR / 3)
        flush("p")
        flush_due()
        assert ", closed by flush() at 2026-03-01 12:20:00+00:00, 1 event" in story(asked)[1]
        assert ", closed by its event number 2, since flush_at is 2, 2 events" in story(full)[1]
        assert ", its event went at once, since the policy has leading, 1 event" in story(first)[1]
        later = notify("p", ADA)
        advance(HOUR)
        flush_due()
        assert "closed" not in story(later)[1]


def test_whose_wish_counts_is_told_as_it_is_now(world: World) -> None:
    set_preference(ADA, window={"every": 600})
    muted, kept = notify("p", ADA, occurred_at=NOON, tenant="acme"), notify("p", ADA, occurred_at=NOON)
    world.flush(NOON)
    assert "it would be by the recipient's wish for everything: {'every': 600} now" in story(kept)[1]
    set_tenant_preference("acme", policy="p", muted=True)
    world.connection.execute("UPDATE pgsupervise_event SET state = 'FILTERED', reason = 'muted' WHERE id = %s", [muted])
    assert story(muted)[-1].endswith("has muted it; now by the tenant's wish for policy p")
    set_preference(ADA, policy="p", tenant="acme", muted=True)
    assert story(muted)[-1].endswith("; now by the recipient's wish for policy p of tenant acme")


def test_a_message_waits_for_the_quiet_hours_that_end_then(world: World) -> None:
    event_id = notify("p", ADA, occurred_at=NOON)
    world.flush(NOON + 9 * HOUR, due=True)
    set_recipient(ADA, time_zone="Europe/Rome", quiet_from=time(22), quiet_until=time(7))
    Delivery.objects.update(state="WAITING", not_before=datetime(2026, 3, 2, 6, tzinfo=UTC))
    assert "waits for the end of the quiet hours|" in story(event_id)[-1]
    Delivery.objects.update(not_before=datetime(2026, 3, 2, 7, tzinfo=UTC))
    assert "waits for the policy's cap|" in story(event_id)[-1]


def test_a_recipients_newest_events_come_first_whatever_became_of_them(world: World) -> None:
    notify_many("p", [Notification(ADA, occurred_at=NOON) for _ in range(6)])
    notify("p", "bob")
    world.flush(NOON + 9 * HOUR, due=True)
    notify_many("p", [Notification(ADA, occurred_at=NOON) for _ in range(3)])
    retract(8)
    found = explain_recipient(ADA, 5)
    assert [(one.event.pk, one.outcome) for one in found] == [
        (10, "pending"), (9, "pending"), (8, "retracted"), (6, "sent"), (5, "sent"),
    ]  # fmt: skip
    assert explain_recipient("nobody") == []


def test_the_command_tells_it_as_text_and_as_json(world: World) -> None:
    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["explain", *words])
        return result.exit_code, result.output

    event_id = notify("p", ADA, occurred_at=NOON)
    number = notify("p", "4711")
    world.flush(NOON + 9 * HOUR, due=True)
    code, output = run(str(event_id))
    assert code == 0
    assert output.startswith(f"event {event_id} for {ADA}: sent\n")
    assert "  -                          folded into batch 1 (" in output
    (row,) = json.loads(run(ADA, "--json")[1])
    assert (row["event"], row["outcome"], row["steps"][0]["what"]) == (event_id, "sent", "notified")
    assert run("4711")[0] == 2
    assert json.loads(run("4711", "--recipient", "--json")[1])[0]["event"] == number
    assert run("nobody@example.com")[0] == 2
