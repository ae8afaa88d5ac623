"""The preferences page: one's own wishes and nobody else's, by login or by a signed link."""

import re
from collections.abc import Iterator
from datetime import time, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client, override_settings
from django.utils import translation

from pgsupervise.django_app import policies, settings
from pgsupervise.django_app.models import Preference, Recipient
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.preferences import set_preference, set_recipient
from pgsupervise.django_app.preferences_form import words as words_of
from pgsupervise.django_app.preferences_links import SALT, preferences_url
from tests.registries import own_registries

ANN, BOB = "ann@example.com", "bob@example.com"
OWN = "/notifications/"
HOSTILE = "<script>alert('x')</script>\"&"


@pytest.fixture(autouse=True)
def registered(db: str) -> Iterator[None]:
    with own_registries():
        policies._registry.clear()
        both = ["inbox", "sendgrid"]
        register(Policy(name="news-letter", window=timedelta(hours=1), channel=both, category="marketing"))
        register(Policy(name="bills", window=timedelta(hours=1), channel="sendgrid"))
        register(Policy(name="security", window=timedelta(hours=1), required=True))
        yield


@pytest.fixture
def ann() -> Client:
    return logged_in("ann", ANN)


def logged_in(name: str, email: str) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user(name, email))
    return client


def get(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def send(client: Client, path: str, **changes: str) -> Any:
    """Send the form as a browser does: what is selected on the page, but for the changes."""
    page = get(client, path)
    values = dict(re.findall(r'<input type="(?:hidden|time)" name="([^"]+)"(?: value="([^"]*)")?', page))
    for name, options in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', page, re.S):
        values[unescape(name)] = unescape(next(iter(re.findall(r'<option value="([^"]*)" selected', options)), ""))
    unknown = set(changes) - set(values)
    assert not unknown, f"no such fields: {unknown} of {set(values)}"
    return client.post(path, values | changes)


def wishes(recipient: str) -> dict[str, Any]:
    rows = Preference.objects.filter(recipient=recipient, tenant="")
    return {row.policy or row.category: (row.muted, row.channels, row.window) for row in rows}


def test_names_of_the_code_are_words_in_the_readers_language(ann: Client) -> None:
    register(Policy(name="noted", window=timedelta(hours=1), channel=["null", "webhook"]))
    register(Policy(name="unseen", window=timedelta(hours=1), channel="null"))
    page = get(ann, OWN)
    for words in ("News letter", ">E-mail<", ">Inbox<", ">Webhook<", ">Inbox and E-mail<"):
        assert words in page, words
    assert "null" not in page.replace('value="null"', "").lower()
    assert "channels:policy:unseen" not in page
    with translation.override("de"):
        assert words_of("inbox") == "Posteingang", "as the project's own catalogue may translate any of them"


def test_a_user_sees_and_changes_its_own_wishes(ann: Client) -> None:
    response = send(
        ann,
        OWN,
        **{
            "muted:policy:bills": "true",
            "channels:category:marketing": '["sendgrid"]',
            "window:category:": '{"cron":"0 9 * * *"}',
            "time_zone": "Europe/Rome",
            "quiet_from": "22:00",
            "quiet_until": "07:30",
        },
    )
    assert (response.status_code, response["Location"]) == (302, "/notifications/?saved")
    assert wishes(ANN) == {
        "bills": (True, None, None),
        "marketing": (None, ["sendgrid"], None),
        "": (None, None, {"cron": "0 9 * * *"}),
    }
    stored = Recipient.objects.get()
    assert (stored.recipient, stored.time_zone) == (ANN, "Europe/Rome")
    assert (stored.quiet_from, stored.quiet_until) == (time(22), time(7, 30))
    page = get(ann, OWN + "?saved")
    assert "Your choices are saved" in page
    for shown in ('value="true" selected', 'value="Europe/Rome" selected', 'value="07:30"', "Daily at 9:00"):
        assert shown in page
    send(ann, OWN, **{"muted:policy:bills": "", "quiet_from": "", "quiet_until": ""})
    assert wishes(ANN)["bills"] == (None, None, None)
    assert Recipient.objects.get().quiet_from is None


def test_what_was_not_changed_is_not_written(ann: Client) -> None:
    set_preference(ANN, policy="bills", muted=True, window=timedelta(minutes=7))
    set_preference(ANN, tenant="acme", policy="bills", muted=False)
    page = get(ann, OWN)
    assert '<option value="{&quot;every&quot;:420}" selected>As it is</option>' in page
    send(ann, OWN, **{"muted:policy:bills": "false"})
    assert wishes(ANN) == {"bills": (False, None, {"every": 420})}
    assert Preference.objects.filter(tenant="acme").get().muted is False
    assert not Recipient.objects.exists()


def test_a_required_policy_offers_no_muting_and_takes_none(ann: Client) -> None:
    assert "muted:policy:security" not in get(ann, OWN)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', get(ann, OWN))
    assert token
    ann.post(OWN, {"csrfmiddlewaretoken": token[1], "muted:policy:security": "true"})
    assert not wishes(ANN)


def test_whoever_is_not_logged_in_is_asked_to() -> None:
    for response in (Client().get(OWN), Client().post(OWN, {"muted:policy:bills": "true"})):
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/login/?next=/notifications/")
    assert not Preference.objects.exists()


def test_a_signed_link_needs_no_login_and_opens_one_recipients_page_only() -> None:
    set_preference(ANN, policy="bills", muted=True)
    client = Client(enforce_csrf_checks=True)
    url = preferences_url(BOB)
    assert url.startswith("/notifications/")
    page = get(client, url)
    assert BOB in page
    assert ANN not in page
    assert 'value="true" selected' not in page
    response = send(client, url, **{"muted:category:marketing": "true"})
    assert response["Location"] == f"{url}?saved"
    assert (set(wishes(BOB)), set(wishes(ANN))) == ({"marketing"}, {"bills"})


def test_a_link_counts_whoever_is_logged_in(ann: Client) -> None:
    send(ann, preferences_url(BOB), **{"muted:policy:bills": "true"})
    assert (set(wishes(BOB)), set(wishes(ANN))) == ({"bills"}, set())


def test_a_name_sent_along_changes_nobody_elses_wishes(ann: Client) -> None:
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', get(ann, OWN))
    assert token
    ann.post(OWN, {"csrfmiddlewaretoken": token[1], "recipient": BOB, "muted:policy:bills": "true"})
    assert (set(wishes(BOB)), set(wishes(ANN))) == (set(), {"bills"})


def forged() -> list[str]:
    good = preferences_url(ANN).split("/")[2]
    return [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        signing.dumps(BOB, salt="another") + "",
        signing.dumps([BOB], salt=SALT),
        signing.dumps(BOB, key="another key", salt=SALT),
        good.split(":")[0],
        "x",
        "\u00e9",
    ]


def test_a_forged_link_opens_nothing_and_changes_nothing() -> None:
    client = Client()
    for token in forged():
        for response in (client.get(f"{OWN}{token}/"), client.post(f"{OWN}{token}/", {"muted:policy:bills": "true"})):
            assert response.status_code == 404, token
            assert b"<form" not in response.content
    assert not Preference.objects.exists()


def test_a_link_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    url = preferences_url(ANN)
    with override_settings(PGSUPERVISE={"PREFERENCES_LINK_DAYS": 1e-9}):
        response = Client().get(url)
    assert response.status_code == 410
    assert b"expired" in response.content
    assert ANN.encode() not in response.content
    assert Client().get(url).status_code == 200


def test_without_the_forms_own_token_nothing_is_changed(ann: Client) -> None:
    for path in (OWN, preferences_url(ANN)):
        assert ann.post(path, {"muted:policy:bills": "true"}).status_code == 403
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus is not one of the available choices"),
        ({"time_zone": "../../etc/passwd"}, "is not one of the available choices"),
        ({"quiet_from": "22:00"}, "Give both times, or none."),
        ({"quiet_until": "25:61"}, "Enter a valid time."),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "Give another time than the first one"),
        ({"muted:policy:bills": "perhaps"}, "perhaps is not one of the available choices"),
        ({"channels:policy:bills": '["inbox"]'}, "is not one of the available choices"),
        ({"window:policy:bills": '{"cron":"* * * * *"}'}, "is not one of the available choices"),
        ({"window:policy:bills": HOSTILE}, "&lt;script&gt;"),
        ({"time_zone": "nul \x00"}, "is not one of the available choices"),
    ],
)
def test_bad_input_is_told_and_saves_nothing(ann: Client, changes: dict[str, str], told: str) -> None:
    response = send(ann, OWN, **{"muted:category:marketing": "true"} | changes)
    page = response.content.decode()
    assert response.status_code == 422
    assert told in page
    assert "<script>" not in page
    assert [*Preference.objects.all(), *Recipient.objects.all()] == []


def test_whatever_is_stored_can_be_shown_and_left_as_it_is(ann: Client) -> None:
    set_recipient(ANN, time_zone="Europe/Rome")
    Recipient.objects.update(time_zone="Mars/" + HOSTILE)
    register(Policy(name=HOSTILE, window=timedelta(hours=1)))
    Preference.objects.create(recipient=ANN, policy="bills", channels={"odd": [HOSTILE]}, window=7)
    assert "<script>" not in get(ann, OWN)
    response = send(ann, OWN, **{"muted:policy:bills": "true"})
    assert response.status_code == 302
    assert wishes(ANN)["bills"] == (True, {"odd": [HOSTILE]}, 7)


def test_a_user_without_an_address_has_no_page() -> None:
    client = logged_in("nobody", "")
    assert client.get(OWN).status_code == 404


def recipient_of(user: User) -> str:
    return f"user-{user.pk}"


def test_a_project_says_which_recipient_a_user_is(ann: Client) -> None:
    with override_settings(PGSUPERVISE={"RECIPIENT_OF_USER": f"{__name__}.recipient_of"}):
        assert settings.problems() == []
        assert re.search(r"What is sent to user-\d+,", get(ann, OWN))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"RECIPIENT_OF_USER": "no.such.function"}, "does not import"),
        ({"RECIPIENT_OF_USER": 7}, "must be the dotted name"),
        ({"RECIPIENT_OF_USER": "os.name"}, "is no function"),
        ({"PREFERENCES_LINK_DAYS": 0}, "more than 0"),
        ({"PREFERENCES_LINK_DAYS": "7"}, "a number of days"),
    ],
)
def test_faulty_settings_are_told(given: dict[str, Any], fault: str) -> None:
    with override_settings(PGSUPERVISE=given):
        (problem,) = settings.problems()
    assert fault in problem


def test_the_page_may_be_neither_framed_nor_kept(ann: Client) -> None:
    for path in (OWN, preferences_url(ANN), f"{OWN}forged/"):
        response = ann.get(path)
        assert response["X-Frame-Options"] == "DENY"
        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "same-origin", "the link is a key, and the form needs its own Referer"


def test_every_field_has_a_name_that_is_read_aloud(ann: Client) -> None:
    page = get(ann, OWN)
    fields = re.findall(r'<(?:select|input) (?!type="hidden")[^>]*id="([^"]+)"([^>]*)>', page)
    assert len(fields) > 10
    for identity, rest in fields:
        assert "aria-label" in rest or f'<label for="{identity}"' in page, identity
    assert len({identity for identity, _ in fields}) == len(fields)
    assert 'lang="en-us"' in page
    assert "<script" not in page
