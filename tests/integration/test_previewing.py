"""What would be sent of a real open batch: rendered as its owner would, shown, and neither sent nor executed."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from django.contrib.auth.models import Permission, User
from django.test import Client

from pgsupervise.django_app.models import Batch, Delivery, Event
from pgsupervise.django_app.notifications import notify
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.previewing import SealedError, preview, unsealed_of
from pgsupervise.django_app.retracting import retract
from pgsupervise.supervisor.cli import main
from tests.integration.test_flushing import World
from tests.integration.test_notification_rows import ADA, HOUR, NOON
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
ATTACK = "<script>alert('x')</script>"
PAGE = "/admin/pgsupervise/batch/1/preview/"


@pytest.fixture
def world(connect: Connect) -> Iterator[World]:
    """An open batch of two events, a third one retracted."""
    with own_registries():
        register(Policy(name="p", window=HOUR, channel="inbox"))
        world = World(connect)
        for actor in ("Ann", ATTACK, "Cid"):
            notify("p", ADA, {"text": ATTACK}, actor=actor, object="Trip", occurred_at=NOON)
        world.flush(NOON + timedelta(minutes=1))
        retract(3)
        yield world


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["preview", *words])
    return result.exit_code, result.output


def test_a_preview_is_the_message_of_now_and_writes_nothing(world: World) -> None:
    (batch,) = unsealed_of(ADA)
    shown = preview(batch)
    (message,) = shown.messages
    channel, payload = message.channel, message.payload
    assert (shown.items, shown.error, channel) == (2, "", "inbox")
    assert (payload["items"], payload["item_ids"], payload["to"]) == (2, [1, 2], ADA)
    assert payload["subject"]
    assert ATTACK not in payload["html"]
    assert (Batch.objects.get().state, Delivery.objects.count()) == ("OPEN", 0)
    assert unsealed_of("bob") == []


def test_what_would_fail_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    register(Policy(name="q", window=HOUR, channel="inbox", template="no/such"))
    world.connection.execute("UPDATE pgsupervise_batch SET policy = 'q'")
    assert preview(Batch.objects.get()).error == "TemplateDoesNotExist: no/such/subject.txt"
    code, output = run("1")
    assert (code, "cannot be rendered: TemplateDoesNotExist" in output) == (1, True)
    monkeypatch.setattr("pgsupervise.django_app.previewing.MOST_BYTES_A_BATCH", 10)
    assert "a batch may have 10" in preview(Batch.objects.get()).error


def test_a_batch_below_its_minimum_shows_no_message(world: World) -> None:
    register(Policy(name="few", window=HOUR, channel="inbox", minimum=3))
    world.connection.execute("UPDATE pgsupervise_batch SET policy = 'few'")
    shown = preview(Batch.objects.get())
    assert (shown.items, len(shown.messages), shown.withheld) == (2, 0, "below minimum")


def test_a_batch_of_nothing_sends_nothing(world: World) -> None:
    assert [retract(1), retract(2)] == ["RETRACTED", "RETRACTED"]
    shown = preview(Batch.objects.get())
    assert (shown.items, len(shown.messages), shown.error, shown.withheld) == (0, 0, "", "empty")
    assert "nothing would be sent" in run("1")[1]


def test_what_is_sealed_has_no_preview(world: World) -> None:
    world.connection.execute("UPDATE pgsupervise_batch SET state = 'SEALED', sealed_at = now()")
    with pytest.raises(SealedError, match="its deliveries have what was sent"):
        preview(Batch.objects.get())
    assert run("1")[0] == run(ADA)[0] == run("99")[0] == 2


def test_the_command_shows_a_batch_or_all_of_a_recipient(world: World) -> None:
    code, output = run("1")
    assert code == 0
    assert output.startswith(f"batch 1 of p for {ADA}: OPEN, 2 items, goes at 2026-03-01 13:00:00+00:00\nby inbox")
    assert "subject:\n" in output
    assert "html:\n" not in output
    assert "--recipient" not in run("nobody@example.com")[1]
    assert "a number needs --recipient" in run("4711")[1]
    assert "html:\n" in run(ADA, "--html")[1]
    (row,) = json.loads(run(ADA, "--json")[1])
    assert (row["batch"], row["items"], row["messages"][0]["channel"]) == (1, 2, "inbox")


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_page_is_for_those_who_may_see_batches(world: World) -> None:
    staff = User.objects.create(username="staff", is_staff=True)
    assert Client().get(PAGE).status_code == 302
    assert logged_in(staff).get(PAGE).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_batch"))
    client = logged_in(User.objects.get(pk=staff.pk))
    assert client.get(PAGE).status_code == 200
    assert client.get(PAGE.replace("1", "99")).status_code == 404
    assert client.get(PAGE.replace("1", "x")).status_code == 404
    assert PAGE in client.get("/admin/pgsupervise/batch/1/change/").content.decode()
    world.connection.execute("UPDATE pgsupervise_batch SET state = 'SEALED', sealed_at = now()")
    assert client.get(PAGE).status_code == 404
    assert PAGE not in client.get("/admin/pgsupervise/batch/1/change/").content.decode()


def test_nothing_of_the_message_is_part_of_the_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a template has let markup through, it stays inside the sandbox's attribute."""
    from pgsupervise.django_app import rendering

    whole = rendering.render

    def hostile(batch: Any, channels: Any) -> Any:
        (delivery,) = whole(batch, channels)
        bad = {"html": f'"></iframe>{ATTACK}', "subject": ATTACK, "text": ATTACK, "to": ATTACK}
        return [delivery._replace(payload={**delivery.payload, **bad})]

    monkeypatch.setattr(rendering, "render", hostile)
    page = logged_in(User.objects.create_superuser("root")).get(PAGE).content.decode()
    assert ATTACK not in page
    assert 'sandbox=""' in page
    assert page.count("<iframe") == page.count("</iframe>") == 1
    assert 'srcdoc="&quot;&gt;&lt;/iframe&gt;&lt;script&gt;' in page
    assert Event.objects.count() == 3
