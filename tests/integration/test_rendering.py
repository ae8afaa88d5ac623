"""Rendering: what a batch becomes, from the project's templates and from ours."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.autoreload import reset_loaders
from django.test import override_settings

from pgsupervise.django_app import channels
from pgsupervise.django_app.channels.null import NullChannel
from pgsupervise.django_app.policies import Policy, PolicyError, register
from pgsupervise.django_app.rendering import context_of, render, summary, template_problems
from pgsupervise.partitions.rows import DueBatch, Item
from pgsupervise.supervisor.project import ChannelSpec, Part
from tests.registries import own_registries

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def templates(tmp_path: Path, settings_of_templates: None) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def settings_of_templates(tmp_path: Path) -> Iterator[None]:
    backend = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path], "APP_DIRS": True}
    with override_settings(TEMPLATES=[backend], DEFAULT_FROM_EMAIL="Site <site@example.com>"):
        yield


@pytest.fixture(autouse=True)
def policies() -> Iterator[None]:
    with own_registries():
        register(Policy(name="digest", window=timedelta(1)))
        register(Policy(name="notes", window=timedelta(1), template="notes", channel="inbox"))
        yield


def batch(*items: Item, policy: str = "notes", recipient: str = "ann@example.com", key: str = "") -> DueBatch:
    return DueBatch(1, 2, policy, recipient, "", key, NOON, NOON, NOON, [item.id for item in items], items)


def item(number: int, actor: str = "Bob", object_: str = "Trip", **data: Any) -> Item:
    return Item(number, NOON + timedelta(minutes=number), "comments", actor, object_, data)


def payload(due: DueBatch) -> dict[str, Any]:
    (delivery,) = render(due)
    return delivery.payload


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(text)
    reset_loaders()  # they remember what they did not find


def test_the_payload_is_complete_and_json(templates: Path) -> None:
    write(templates, subject_txt="{{ count }} new", body_txt="{% for i in items %}{{ i.actor }} {% endfor %}")
    (delivery,) = render(batch(item(1), item(2, "Eve")))
    assert delivery.channel == "inbox"
    assert delivery.payload == {
        "to": "ann@example.com",
        "from": "Site <site@example.com>",
        "subject": "2 new",
        "text": "Bob Eve ",
        "items": 2,
        "item_ids": [1, 2],
    }
    assert json.loads(json.dumps(delivery.payload)) == delivery.payload


def test_for_a_channel_that_takes_nothing_nothing_is_rendered(templates: Path) -> None:
    def never(recipient: str) -> str:
        raise AssertionError("nobody needs an address")

    write(templates, subject_txt="{% no_such_tag %}")
    register(Policy(name="nowhere", window=timedelta(1), template="notes", channel="null", address=never))
    bare = batch(item(1), item(2), policy="nowhere")
    bare = replace(bare, items=())  # as it is read for such a channel
    assert payload(bare) == {"items": 2, "item_ids": [1, 2]}


def test_a_channel_gets_the_parts_that_it_takes(templates: Path) -> None:
    write(templates, subject_txt="hello", body_txt="{% no_such_tag %}")
    with own_registries():
        channels.register("pager", ChannelSpec(build=NullChannel, takes={Part.SUBJECT}))
        register(Policy(name="paged", window=timedelta(1), template="notes", channel="pager"))
        rendered = payload(batch(item(1), policy="paged"))
    assert sorted(rendered) == ["from", "item_ids", "items", "subject", "to"]


def test_html_is_escaped_and_text_is_not(templates: Path) -> None:
    write(templates, subject_txt="{{ object }}", body_txt="{{ object }}", body_html="<b>{{ object }}</b>")
    rendered = payload(batch(item(1, object_="<Tom & 'Jerry'>")))
    assert rendered["subject"] == rendered["text"] == "<Tom & 'Jerry'>"
    assert rendered["html"] == "<b>&lt;Tom &amp; &#x27;Jerry&#x27;&gt;</b>"


def test_a_subject_is_one_line_whatever_an_event_says(templates: Path) -> None:
    write(templates, subject_txt="\n {{ object }}\n", body_txt="x")
    hostile = "Hi\r\nBcc: eve@example.com\u2028\x85next\x0b\x00\x7fend"
    assert payload(batch(item(1, object_=hostile)))["subject"] == "Hi Bcc: eve@example.com next end"


def test_one_item_uses_the_singular_templates_that_exist(templates: Path) -> None:
    write(templates, subject_txt="many", body_txt="many", body_html="many", single_subject_txt="one")
    assert [payload(batch(item(1)))[part] for part in ("subject", "text", "html")] == ["one", "many", "many"]
    write(templates, single_body_txt="one", single_body_html="one")
    assert [payload(batch(item(1)))[part] for part in ("subject", "text", "html")] == ["one"] * 3
    assert [payload(batch(item(1), item(2)))[part] for part in ("subject", "text", "html")] == ["many"] * 3


def test_the_context_has_every_name() -> None:
    items = (item(1, "Bob"), item(2, ""), item(3, "Eve"), item(4, "Bob"))
    context = context_of(batch(*items, key="Trip"))
    assert context["items"] == context["batched_events"] == context["$batched_events"] == items
    for name in ("count", "total", "batched_event_count", "batched_events_count"):
        assert context[name] == context.get(f"${name}", 4) == 4
    assert (context["$batched_event_count"], context["$batched_events_count"]) == (4, 4)
    assert (context["actors"], context["actor_count"], context["omitted"]) == (["Bob", "Eve"], 2, 0)
    assert (context["first_at"], context["last_at"]) == (items[0].occurred_at, items[-1].occurred_at)
    assert (context["recipient"], context["policy"], context["key"], context["object"]) == (
        "ann@example.com",
        "notes",
        "Trip",
        "Trip",
    )
    assert context_of(batch(item(1), item(2, object_="Other")))["object"] == ""


@pytest.mark.parametrize(
    ("actors", "words"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (["A", "B", "C"], "A, B and 1 other"),
        (["A", "B", "C", "D", "E"], "A, B and 3 others"),
    ],
)
def test_actors_are_summed_up(actors: list[str], words: str) -> None:
    assert summary(actors) == words


def test_the_default_templates_show_any_event() -> None:
    rendered = payload(batch(item(1, text="Nice <one>!"), item(2, "", ""), policy="digest"))
    assert rendered["subject"] == "2 updates from Bob"
    for part in ("text", "html"):
        for words in ("2 updates", "Bob", "Trip", "1 Mar 2026, 12:01 UTC", "1 Mar 2026, 12:02 UTC"):
            assert words in rendered[part]
    assert "Nice <one>!" in rendered["text"]
    assert "Nice &lt;one&gt;!" in rendered["html"]
    assert payload(batch(item(1), policy="digest"))["subject"] == "Bob: Trip"
    assert payload(batch(item(1, "", ""), policy="digest"))["subject"] == "1 update"


def test_a_recipient_is_turned_into_an_address() -> None:
    register(Policy(name="mail", window=timedelta(1), address=lambda recipient: f"{recipient}@example.com"))
    assert payload(batch(item(1), policy="mail", recipient="ann"))["to"] == "ann@example.com"


def test_an_address_that_is_none_keeps_the_mail_alone_from_being_sent() -> None:
    both = ["inbox", "sendgrid"]
    register(Policy(name="mail", window=timedelta(1), channel=both, address=lambda recipient: ""))
    inbox, mail = (delivery.payload for delivery in render(batch(item(1), policy="mail", recipient="ann")))
    assert mail["undeliverable"] == "address is empty: give at least one character"
    assert "undeliverable" not in inbox
    assert inbox["text"] == mail["text"]


def test_a_batch_without_items_is_no_message() -> None:
    assert render(batch()) == []


def test_what_cannot_be_rendered_says_why(templates: Path) -> None:
    with pytest.raises(PolicyError, match="'gone'"):
        render(batch(item(1), policy="gone"))
    with pytest.raises(TemplateDoesNotExist, match=r"notes/subject\.txt"):
        render(batch(item(1)))
    write(templates, subject_txt=" ", single_subject_txt="\n", body_txt="x")
    with pytest.raises(ValueError, match=r"notes/single_subject\.txt gave an empty subject"):
        render(batch(item(1)))
    (templates / "single_subject.txt").unlink()
    reset_loaders()
    with pytest.raises(ValueError, match=r"notes/subject\.txt gave an empty subject"):
        render(batch(item(1)))


def test_templates_are_checked_ahead(templates: Path) -> None:
    policy = Policy(name="notes", window=timedelta(1), template="notes")
    write(templates, body_txt="{% nonsense %}")
    missing, faulty = template_problems(policy)
    assert "there is no template notes/subject.txt: create it" in missing
    assert "template notes/body.txt is faulty: " in faulty
    assert "Invalid block tag" in faulty
    write(templates, subject_txt="x", body_txt="x", single_body_html="{% if %}")
    (faulty,) = template_problems(policy)
    assert "notes/single_body.html is faulty" in faulty
    with pytest.raises(TemplateSyntaxError):
        render(batch(item(1)))
