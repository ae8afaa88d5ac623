"""The admin's forms of wishes: by permission, and with the same refusals as the functions."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from pgsupervise.django_app.models import Delivery, Preference, Recipient, TenantPreference
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.partitions.buckets import bucket_of
from tests.registries import own_registries

ADMIN = "/admin/pgsupervise/"
ANN = "ann@example.com"
HOSTILE = "<script>alert('x')</script>\"&"
LEVEL = {"tenant": "", "policy": "", "category": ""}
WISH = {**LEVEL, "muted": "unknown", "channels": "null", "window": "null"}
PERSON = {"time_zone": "", "locale": "", "quiet_from": "", "quiet_until": "", "properties": "{}"}
TABLES = {
    "preference": (Preference, {"recipient": ANN, **WISH}),
    "recipient": (Recipient, {"recipient": ANN, **PERSON}),
    "tenantpreference": (TenantPreference, {**WISH, "tenant": "acme"}),
}


@pytest.fixture(autouse=True)
def registered(db: str) -> Iterator[None]:
    with own_registries():
        register(Policy(name="news", window=timedelta(hours=1), category="marketing"))
        register(Policy(name="security", window=timedelta(hours=1), required=True))
        yield


@pytest.fixture
def root() -> Client:
    return logged_in(User.objects.create_superuser("root"))


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def errors(response: Any) -> str:
    assert response.status_code == 200
    form = response.context_data["adminform"].form
    return str(form.errors.as_data()) + str(form.non_field_errors())


def test_wishes_are_added_changed_found_and_deleted(root: Client) -> None:
    wish = {**TABLES["preference"][1], "policy": "news", "muted": "true", "channels": '["inbox"]'}
    assert root.post(f"{ADMIN}preference/add/", wish).status_code == 302
    row = Preference.objects.get()
    assert (row.recipient, row.bucket, row.muted, row.channels) == (ANN, bucket_of(ANN), True, ["inbox"])
    page = f"{ADMIN}preference/{row.pk}/"
    changed = {**wish, "recipient": "eve@example.com", "muted": "false", "window": '{"cron": "0 9 * * *"}'}
    assert root.post(f"{page}change/", changed).status_code == 302
    row.refresh_from_db()
    assert (row.recipient, row.muted, row.window) == (ANN, False, {"cron": "0 9 * * *"}), "whose it is stays"
    found: Any = root.get(f"{ADMIN}preference/?q={ANN}")
    assert [found.pk for found in found.context_data["cl"].result_list] == [row.pk]
    assert root.post(f"{page}delete/", {"post": "yes"}).status_code == 302
    assert not Preference.objects.exists()


def test_the_form_takes_a_bare_cron_rule_and_says_what_it_takes(root: Client) -> None:
    page = root.get(f"{ADMIN}preference/add/").content.decode()
    for words in ("Says nothing", '["inbox"]', '"sliding"', '"at_once"'):
        assert words in page, words
    wish = {**TABLES["preference"][1], "tenant": "acme", "window": " 0 9 * * mon-fri"}
    saved: Any = root.post(f"{ADMIN}preference/add/", wish, follow=True)
    assert Preference.objects.get().window == {"cron": "0 9 * * mon-fri"}
    assert f"{ANN}: everything of tenant acme" in saved.content.decode()
    assert root.post(f"{ADMIN}recipient/add/", {**TABLES["recipient"][1], "properties": ""}).status_code == 302
    assert Recipient.objects.get().properties == {}


def test_a_tenants_word_and_a_recipients_facts_have_forms_too(root: Client) -> None:
    prescribed = {**TABLES["tenantpreference"][1], "category": "marketing", "muted": "true"}
    assert root.post(f"{ADMIN}tenantpreference/add/", prescribed).status_code == 302
    assert TenantPreference.objects.get().muted is True
    times = {"time_zone": "Europe/Rome", "quiet_from": "22:00", "quiet_until": "07:00"}
    assert root.post(f"{ADMIN}recipient/add/", {**TABLES["recipient"][1], **times}).status_code == 302
    assert Recipient.objects.get().time_zone == "Europe/Rome"
    for table in TABLES:
        for term in (ANN, "acme", "1", HOSTILE, "x" * 600):
            assert root.get(f"{ADMIN}{table}/", {"q": term}).status_code == 200


@pytest.mark.parametrize(
    ("table", "changes", "told"),
    [
        ("preference", {"policy": "nwes"}, "no policy is registered"),
        ("preference", {"category": "sports"}, "no policy has the category"),
        ("preference", {"policy": "news", "category": "marketing"}, "give one of them"),
        ("preference", {"policy": "security", "muted": "true"}, "required and cannot be muted"),
        ("preference", {"channels": '["pigeon"]'}, "there is no channel"),
        ("preference", {"channels": "[nonsense"}, "Enter a valid JSON"),
        ("preference", {"window": '{"cron": "hourly"}'}, "five fields"),
        ("preference", {"window": "7"}, "must be a timedelta"),
        ("preference", {"recipient": ""}, "required"),
        ("tenantpreference", {"tenant": ""}, "required"),
        ("tenantpreference", {"policy": "nwes"}, "no policy is registered"),
        ("recipient", {"time_zone": "Mars/Olympus"}, "no IANA zone"),
        ("recipient", {"quiet_from": "22:00"}, "belong together"),
        ("recipient", {"quiet_from": "22:00", "quiet_until": "22:00"}, "make them different"),
        ("recipient", {"properties": "[]"}, "must be a JSON object"),
        ("recipient", {"locale": "Klingon!"}, "use one such as"),
    ],
)
def test_a_form_refuses_what_nobody_could_obey(root: Client, table: str, changes: Any, told: str) -> None:
    model, values = TABLES[table]
    assert told in errors(root.post(f"{ADMIN}{table}/add/", {**values, **changes}))
    assert not model._default_manager.exists()


@pytest.mark.parametrize("table", TABLES)
def test_a_second_row_of_the_same_is_refused(root: Client, table: str) -> None:
    model, values = TABLES[table]
    assert root.post(f"{ADMIN}{table}/add/", values).status_code == 302
    assert "already" in errors(root.post(f"{ADMIN}{table}/add/", values))
    assert model._default_manager.count() == 1
    row = model._default_manager.get()
    assert root.post(f"{ADMIN}{table}/{row.pk}/change/", values).status_code == 302, "itself it may be"


@pytest.mark.parametrize("table", TABLES)
def test_each_permission_counts_by_itself(root: Client, table: str) -> None:
    model, values = TABLES[table]
    root.post(f"{ADMIN}{table}/add/", values)
    page = f"{ADMIN}{table}/{model._default_manager.get().pk}"
    for action, allowed in (("none", []), ("view", ["list", "page"]), ("change", ["list", "page", "change"])):
        user = User.objects.create_user(action, is_staff=True)
        if action != "none":
            user.user_permissions.add(Permission.objects.get(codename=f"{action}_{table}"))
        clerk = logged_in(user)
        asked = {
            "list": clerk.get(f"{ADMIN}{table}/").status_code,
            "page": clerk.get(f"{page}/change/").status_code,
            "change": clerk.post(f"{page}/change/", values).status_code,
            "add": clerk.get(f"{ADMIN}{table}/add/").status_code,
            "delete": clerk.post(f"{page}/delete/", {"post": "yes"}).status_code,
        }
        assert [name for name, status in asked.items() if status in (200, 302)] == allowed, action
    assert model._default_manager.exists()
    assert "/admin/login/" in Client().get(f"{page}/change/")["Location"]


def test_what_rows_hold_is_escaped(root: Client) -> None:
    Preference.objects.create(recipient=HOSTILE, policy=HOSTILE, channels=[HOSTILE], window={HOSTILE: HOSTILE})
    Recipient.objects.create(recipient=HOSTILE, properties={"a": HOSTILE})
    TenantPreference.objects.create(tenant=HOSTILE, channels=[HOSTILE])
    for table, (model, _) in TABLES.items():
        row = model._default_manager.get()
        for page in (f"{ADMIN}{table}/", f"{ADMIN}{table}/{row.pk}/change/"):
            assert b"<script>alert" not in root.get(page).content, page


def test_the_list_of_deliveries_knows_those_that_were_skipped(root: Client) -> None:
    Delivery.objects.create(recipient=ANN, policy="news", batch_id=1, channel="inbox", payload={}, state="SKIPPED")
    Delivery.objects.create(recipient=ANN, policy="news", batch_id=2, channel="inbox", payload={}, state="PENDING")
    found: Any = root.get(f"{ADMIN}delivery/?state=SKIPPED")
    assert [row.state for row in found.context_data["cl"].result_list] == ["SKIPPED"]
