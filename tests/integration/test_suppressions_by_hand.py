"""The suppression list in people's hands: by the admin, by permission, and by the command line."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from django.contrib.auth.models import Permission, User
from django.test import Client

from pgsupervise.django_app.models import Suppression
from pgsupervise.django_app.provider_events import ProviderKind
from pgsupervise.django_app.suppressions import suppress
from pgsupervise.supervisor.cli import main
from tests.integration.test_notification_rows import ADA
from tests.integration.test_suppressions import event, reasons, take

ADMIN = "/admin/pgsupervise/suppression/"


def test_the_admin_adds_by_hand_changes_the_note_alone_finds_by_any_spelling_and_deletes(db: str) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    hostile = "<script>alert('x')</script>"
    assert root.post(f"{ADMIN}add/", {"address": "Ann@Example.com", "note": hostile}).status_code == 302
    row = Suppression.objects.get()
    assert (row.address, row.reason, row.note) == ("ann@example.com", "by hand", hostile)
    for address, told in (("ANN@example.com", "already"), ("ann", "no e-mail address")):
        refused: Any = root.post(f"{ADMIN}add/", {"address": address})
        assert told in str(refused.context_data["adminform"].form.errors)
    changed = {"address": "eve@example.com", "reason": "spam", "note": "asked"}
    assert root.post(f"{ADMIN}{row.pk}/change/", changed).status_code == 302
    row.refresh_from_db()
    assert (row.address, row.reason, row.note) == ("ann@example.com", "by hand", "asked")
    for term in ("ANN@example.com", str(row.pk)):
        found: Any = root.get(ADMIN, {"q": term})
        assert [one.pk for one in found.context_data["cl"].result_list] == [row.pk]
    for term in (hostile, "x" * 600, "\0"):
        assert root.get(ADMIN, {"q": term}).status_code == 200
    assert root.post(f"{ADMIN}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Suppression.objects.exists()


def test_who_may_only_look_adds_and_removes_nothing(db: str) -> None:
    suppress(ADA)
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_suppression"))
    client = Client()
    client.force_login(clerk)
    assert client.get(ADMIN).status_code == 200
    pk = Suppression.objects.get().pk
    assert client.post(f"{ADMIN}add/", {"address": "eve@example.com"}).status_code == 403
    assert client.post(f"{ADMIN}{pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"{ADMIN}{pk}/change/", {"note": "x"}).status_code == 403
    assert reasons() == [(ADA, "by hand")]


@pytest.mark.usefixtures("db")
def test_the_command_line_shows_adds_and_removes() -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["suppressions", *arguments])
        return result.exit_code, result.output

    assert run("add", "Ann@example.com", "--note", "asked") == (0, "added\n")
    assert run("add", "ann@example.com") == (0, "it was in the list already, by hand\n")
    take(event(ProviderKind.SPAM_REPORT, "ann@example.com"), event(ProviderKind.BOUNCE, "bob@example.com"))
    code, shown = run("list", "ANN@example.com")
    assert code == 0
    assert [line.split("  ")[:2] for line in shown.splitlines()] == [
        ["ann@example.com", "by hand"],
        ["ann@example.com", "spam"],
    ]
    listed = json.loads(run("list", "--json", "--limit", "2")[1])
    assert [(row["address"], row["reason"]) for row in listed] == [
        ("bob@example.com", "bounce"),
        ("ann@example.com", "spam"),
    ]
    assert run("remove", "ANN@example.com") == (0, "removed 2 reasons\n")
    code, told = run("remove", "ann@example.com")
    assert (code, told) == (2, "error: ann@example.com is not in the list\n")
    for command in ("list", "add", "remove"):
        code, told = run(command, "ann")
        assert (code, "no e-mail address" in told) == (2, True)
