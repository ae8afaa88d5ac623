"""What a recipient has read elsewhere, or what was deleted, leaves its pending digest in the same transaction."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models.signals import post_delete

from pgsupervise.django_app.deleting import retract_on_delete
from pgsupervise.django_app.models import Batch, Delivery, Event
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.reading import Read, mark_about_read, mark_read
from pgsupervise.partitions.marks import Marks
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, HOUR, NOON
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
MINUTE = timedelta(minutes=1)


class Team(Group):
    """A group by another name."""

    class Meta:
        proxy = True
        app_label = "auth"


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="null"))
        yield World(connect)


def told(minute: int = 0, **fields: Any) -> int:
    return notify("p", fields.pop("recipient", ADA), occurred_at=NOON + minute * MINUTE, **fields)


def fate(event_id: int) -> tuple[str, str, bool]:
    event = Event.objects.get(pk=event_id)
    return event.state, event.reason, event.read_at is not None


def test_what_is_read_is_in_no_digest_and_what_is_sealed_is_only_marked(world: World) -> None:
    sealed = told(0)
    world.flush(NOON + 2 * HOUR, due=True)
    folded, stays = told(180), told(181)
    world.flush(NOON + 3 * HOUR)
    pending, foreign = told(182), told(182, recipient="bob")
    assert mark_read(ADA, [sealed, folded, pending, foreign, 10**9, -1, 2**70]) == Read(marked=3, left_out=2)
    assert mark_read(ADA, [sealed, folded, pending]) == Read(0, 0), "reading twice is reading once"
    assert fate(sealed) == ("FOLDED", "", True)
    assert fate(folded) == fate(pending) == ("FILTERED", "read", True)
    assert fate(foreign) == ("PENDING", "", False), "not this recipient's to read"
    world.flush(NOON + 9 * HOUR, due=True)
    assert world.digests()[:2] == [[sealed], [stays]]


@pytest.mark.parametrize("unsent", ["PENDING", "WAITING", "RETRYING"])
def test_all_is_everything_that_the_recipient_has_not_read_and_was_not_sent(world: World, unsent: str) -> None:
    sent = told(0)
    world.flush(NOON + 2 * HOUR, due=True)
    waits = told(180)
    world.flush(NOON + 5 * HOUR, due=True)
    Delivery.objects.filter(pk=2).update(state=unsent, finished_at=None)
    failed = told(360)
    world.flush(NOON + 6 * HOUR)
    Batch.objects.filter(state="OPEN").update(state="CLOSED", error="ValueError: no such filter")
    folded = told(361)
    world.flush(NOON + 6 * HOUR + MINUTE)
    pending, foreign = told(362), told(362, recipient="bob")
    assert set(Batch.objects.values_list("state", flat=True)) == {"SEALED", "CLOSED", "OPEN"}
    assert mark_read(ADA, "all") == Read(marked=4, left_out=3)
    assert [fate(event_id)[2] for event_id in (waits, failed, folded, pending)] == [True] * 4
    assert [fate(event_id)[2] for event_id in (sent, foreign)] == [False] * 2
    assert mark_read(ADA, "all") == Read(0, 0)


def test_what_is_about_an_object_is_read_with_it(world: World) -> None:
    trip, other = Group.objects.create(name="trip"), Group.objects.create(name="other")
    mine, foreign, else_ = told(0, about=trip), told(0, about=trip, recipient="bob"), told(0, about=other)
    assert mark_about_read(ADA, trip) == Read(1, 1)
    assert mark_about_read(ADA, trip) == Read(0, 0)
    assert [fate(event_id)[0] for event_id in (mine, foreign, else_)] == ["FILTERED", "PENDING", "PENDING"]


def test_the_owner_does_not_wait_for_a_reader_and_a_rollback_puts_all_back(world: World) -> None:
    first, second = told(0), told(1)
    world.flush(NOON + 30 * MINUTE)
    with transaction.atomic():
        assert mark_read(ADA, [first]) == Read(1, 1)
        world.flush(NOON + 5 * HOUR, due=True)
        assert world.digests() == []
        transaction.set_rollback(True)
    world.marks = Marks()
    world.flush(NOON + 5 * HOUR, due=True)
    assert world.digests() == [[first, second]]
    assert fate(first) == ("FOLDED", "", False)


@pytest.mark.parametrize("wrong", ["7", 7, None, ["7"], [None], [True]])
def test_ids_that_are_none_are_refused(world: World, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"events is .*give the ids of events|an event's id is"):
        mark_read(ADA, wrong)


def test_what_was_read_is_about_an_object(world: World) -> None:
    with pytest.raises(TypeError, match=r"instance is None .*: it must be a saved instance of a model"):
        mark_about_read(ADA, None)  # type: ignore[arg-type]  # wrong on purpose


@pytest.fixture
def on_delete() -> Iterator[Callable[..., None]]:
    receivers = list(post_delete.receivers)
    yield retract_on_delete
    post_delete.receivers = receivers
    post_delete.sender_receivers_cache.clear()


def test_deleting_an_object_takes_back_what_was_told_about_it(world: World, on_delete: Callable[..., None]) -> None:
    on_delete(Group)
    on_delete(Group)
    groups = [Group.objects.create(name=str(number)) for number in range(4)]
    events = [told(0, about=group) for group in groups]
    assert events[3] == told(0, about=Team.objects.get(pk=groups[3].pk), idempotency_key="x") - 1
    groups[0].delete()
    Group.objects.filter(pk=groups[1].pk).delete()
    Team.objects.get(pk=groups[3].pk).delete()
    with transaction.atomic():
        groups[2].delete()
        transaction.set_rollback(True)
    states = list(Event.objects.order_by("id").values_list("state", flat=True))
    assert states == ["RETRACTED", "RETRACTED", "PENDING", "RETRACTED", "RETRACTED"]


def test_other_models_are_deleted_as_before(world: World, on_delete: Callable[..., None]) -> None:
    on_delete(Group)
    user = User.objects.create(username="eve")
    event_id = told(0, about=user)
    user.delete()
    assert fate(event_id)[0] == "PENDING", "nobody asked for it"


def test_a_cascade_takes_back_too(world: World, on_delete: Callable[..., None]) -> None:
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    on_delete(LogEntry)
    user = User.objects.create(username="eve")
    kind = ContentType.objects.get_for_model(Group)
    event_id = told(0, about=LogEntry.objects.create(user=user, content_type=kind, action_flag=1))
    user.delete()
    assert fate(event_id)[0] == "RETRACTED"


@pytest.mark.parametrize("wrong", [7, "auth.Group", object])
def test_only_a_model_can_be_watched(wrong: Any) -> None:
    with pytest.raises(TypeError, match="no model with a table"):
        retract_on_delete(wrong)
