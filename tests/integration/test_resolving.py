"""A person decides about messages of unknown fate: in the admin and on the command line."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from pgsupervise.django_app.models import Delivery, ProviderEvent
from pgsupervise.django_app.resolving import Resolution, resolve
from pgsupervise.partitions.states import DeliveryState
from pgsupervise.supervisor.cli import main

pytestmark = pytest.mark.usefixtures("db")
LIST = "/admin/pgsupervise/delivery/"
HOSTILE = "<script>alert('x')</script>"


def add(state: DeliveryState = DeliveryState.UNKNOWN, policy: str = "p", **more: Any) -> Delivery:
    number = Delivery.objects.count() + 1
    given = {"attempt": 1, "error": "timeout", "finished_at": timezone.now(), "unknown_until": None, **more}
    return Delivery.objects.create(
        policy=policy, recipient=HOSTILE, channel="sendgrid", payload={}, batch_id=number, state=state, **given
    )


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Resolution.RESEND, ("PENDING", "to be sent again, decided by ann", True)),
        (Resolution.ACCEPT, ("ACCEPTED", "", False)),
        (Resolution.REFUSE, ("REFUSED", "not to be sent again, decided by ann", False)),
    ],
)
def test_each_decision_is_done_once_and_about_what_is_unknown_alone(
    how: Resolution, expected: tuple[str, str, bool]
) -> None:
    unknown = add(unknown_until=timezone.now())
    others = [add(state) for state in DeliveryState if state not in (DeliveryState.UNKNOWN, DeliveryState.SENDING)]
    ids = [unknown.pk, *(other.pk for other in others), 10**9, 2**70]
    assert resolve(ids, how, "ann") == [unknown.pk]
    assert resolve(ids, how, "ann") == []
    unknown.refresh_from_db()
    assert (unknown.state, unknown.error, unknown.finished_at is None) == expected
    assert unknown.unknown_until is None
    assert states()[1:] == [other.state for other in others]


def test_what_the_provider_has_told_meanwhile_is_left_to_what_it_told() -> None:
    unknown = add()
    ProviderEvent.objects.create(
        bucket=unknown.bucket, delivery=unknown, kind="processed", attempt=1, event_id="e", occurred_at=timezone.now()
    )
    assert resolve([unknown.pk], Resolution.RESEND, "ann") == []


def logged_in(*permissions: str) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_the_admin_asks_before_it_does_what_was_chosen_and_logs_who_did_it() -> None:
    client = logged_in("view_delivery", "resolve_delivery")
    unknown, accepted = add(), add(DeliveryState.ACCEPTED)
    chosen = {"action": "resend", "_selected_action": [unknown.pk, accepted.pk]}
    assert b"Send again what is of unknown fate" in client.get(LIST).content
    asked = client.post(LIST, chosen)
    page = asked.content.decode()
    assert asked.status_code == 200
    assert HOSTILE not in page
    assert "gets it twice" in page
    assert f'value="{unknown.pk}"' in page
    assert f'value="{accepted.pk}"' not in page
    assert states() == ["UNKNOWN", "ACCEPTED"], "nothing is done before"
    client.post(LIST, {**chosen, "confirmed": "refuse"})
    assert states() == ["UNKNOWN", "ACCEPTED"], "another decision was confirmed"
    done = client.post(LIST, {**chosen, "confirmed": "resend"}, follow=True)
    assert b"Resend: 1 of 1 deliveries of unknown fate." in done.content
    assert states() == ["PENDING", "ACCEPTED"]
    assert "decided by ann" in Delivery.objects.get(pk=unknown.pk).error
    (entry,) = LogEntry.objects.all()
    assert (entry.object_id, entry.user.get_username()) == (str(unknown.pk), "ann")
    again = client.post(LIST, {**chosen, "confirmed": "resend"}, follow=True)
    assert b"None of these is of unknown fate." in again.content


def test_who_may_only_look_sees_no_actions_and_has_none() -> None:
    client = logged_in("view_delivery")
    unknown = add()
    assert b"unknown fate" not in client.get(LIST).content
    client.post(LIST, {"action": "resend", "_selected_action": [unknown.pk], "confirmed": "resend"})
    assert states() == ["UNKNOWN"]


def run(*arguments: str, typed: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(main, ["deliveries", *arguments], input=typed)
    return result.exit_code, result.output


def test_the_command_lists_what_is_unknown_and_why_it_waits() -> None:
    held, waits = add(), add(policy="q", unknown_until=timezone.now())
    add(DeliveryState.REFUSED)
    code, output = run("unknown")
    first, second, last = output.splitlines()
    assert code == 0
    assert first.startswith(f"{held.pk}  ")
    assert first.endswith("p to <script>alert('x')</script> by sendgrid, attempt 1: timeout; a person decides")
    assert "the provider may tell until" in second
    assert last == "2 of unknown fate"
    _, output = run("unknown", "--policy", "q", "--json")
    assert [one["id"] for one in json.loads(output)] == [waits.pk]
    assert run("unknown", "--limit", "1")[1].endswith("1 of unknown fate, and there may be more\n")


def test_the_command_decides_about_ids_or_a_policy_and_asks_before() -> None:
    one, two, three = add(), add(), add(policy="q")
    waits = add(policy="q", unknown_until=timezone.now())
    assert run("resolve", "resend") == (2, "error: give either ids or --policy\n")
    assert run("resolve", "resend", str(one.pk), typed="n\n")[0] == 1
    assert states() == ["UNKNOWN"] * 4
    assert run("resolve", "resend", str(one.pk), "99", "--yes") == (
        0,
        "resend: 1 delivery\n99 is not of unknown fate\n",
    )
    assert run("resolve", "refuse", "--policy", "q", typed="y\n")[0] == 0
    assert run("resolve", "accept", str(one.pk), "--yes")[0] == 2, "it is no longer unknown"
    assert {d.pk: d.state for d in Delivery.objects.all()} == {
        one.pk: "PENDING",
        two.pk: "UNKNOWN",
        three.pk: "REFUSED",
        waits.pk: "UNKNOWN",
    }
