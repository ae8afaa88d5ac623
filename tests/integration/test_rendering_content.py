"""What templates see: all that happened, and of that the items to be shown."""

import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.template import Context, Template

from pgsupervise.django_app import channels
from pgsupervise.django_app.channels.null import NullChannel
from pgsupervise.django_app.policies import Policy, PolicyError, register
from pgsupervise.django_app.rendering import context_of, render
from pgsupervise.django_app.retain import Retain
from pgsupervise.partitions.rows import Item, Person
from pgsupervise.supervisor.project import ChannelSpec, Part
from tests.integration.test_rendering import NOON, batch, item, payload, write
from tests.integration.test_rendering import policies as policies
from tests.integration.test_rendering import settings_of_templates as settings_of_templates
from tests.integration.test_rendering import templates as templates

HOUR = timedelta(hours=1)
EVERYBODY = ["Ann", "Bob", "", "Ann", "Cid", "Dan", "Eve"]
ANN = Person(recipient="ann@example.com", properties={"first_name": "Ann"})
ITEMS = tuple(item(number, actor) for number, actor in enumerate(EVERYBODY, start=1))


@pytest.mark.parametrize(
    ("retain", "shown", "before", "after"),
    [
        (None, [1, 2, 3, 4, 5, 6, 7], 0, 0),
        (Retain(first=2), [1, 2], 0, 5),
        (Retain(last=2), [6, 7], 5, 0),
        (Retain(first=1), [1], 0, 6),
        (Retain(last=7), [1, 2, 3, 4, 5, 6, 7], 0, 0),
        (Retain(first=100), [1, 2, 3, 4, 5, 6, 7], 0, 0),
        (Retain(last=100), [1, 2, 3, 4, 5, 6, 7], 0, 0),
    ],
)
def test_items_that_are_not_shown_are_counted_and_their_actors_named(
    retain: Retain | None, shown: list[int], before: int, after: int
) -> None:
    context = context_of(batch(*ITEMS), retain)
    for name in ("items", "batched_events", "$batched_events"):
        assert [each.id for each in context[name]] == shown
    for name in ("count", "total", "batched_event_count", "batched_events_count"):
        assert context[name] == context.get(f"${name}", 7) == 7
    assert (context["omitted"], context["omitted_before"], context["omitted_after"]) == (before + after, before, after)
    assert (context["actors"], context["actor_count"]) == (["Ann", "Bob", "Cid", "Dan", "Eve"], 5)
    assert context["actor_summary"] == "Ann, Bob and 3 others"
    assert (context["first_at"], context["last_at"]) == (ITEMS[0].occurred_at, ITEMS[-1].occurred_at)


def test_a_policy_s_templates_show_what_it_retains(templates: Path) -> None:
    register(Policy(name="short", window=HOUR, template="notes", retain=Retain(last=2)))
    write(
        templates,
        subject_txt="{{ batched_event_count }}/{{ batched_events_count }}",
        single_subject_txt="only one",
        body_txt="{{ omitted_before }} and {% for event in batched_events %}{{ event.id }}.{% endfor %}",
    )
    rendered = payload(batch(*ITEMS, policy="short"))
    assert (rendered["subject"], rendered["text"]) == ("7/7", "5 and 6.7.")
    assert (rendered["items"], rendered["item_ids"]) == (7, [1, 2, 3, 4, 5, 6, 7]), "all of them are in the digest"


def test_many_items_of_which_one_is_shown_are_not_one_item(templates: Path) -> None:
    register(Policy(name="short", window=HOUR, template="notes", retain=Retain(last=1)))
    write(templates, subject_txt="many", single_subject_txt="{{ item.actor }}", body_txt="x")
    assert payload(batch(*ITEMS, policy="short"))["subject"] == "many"
    assert payload(batch(ITEMS[1], policy="short"))["subject"] == "Bob"
    assert context_of(batch(*ITEMS))["item"] is None


@pytest.mark.parametrize(
    ("retain", "words"),
    [
        (Retain(), "retain must have one number"),
        (Retain(first=1, last=1), "retain must have one number"),
        (Retain(first=0), "retain has first 0: it must be an int of at least 1"),
        (Retain(last=-3), "retain has last -3"),
        (Retain(first=True), "retain has first True"),
        (Retain(last=2.5), "retain has last 2.5"),  # type: ignore[arg-type]
        (10, r"retain is 10: it must be Retain\(first=10\), Retain\(last=10\) or None"),
    ],
)
def test_what_cannot_be_retained_is_refused_at_once(retain: Any, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        register(Policy(name="short", window=HOUR, retain=retain))


def test_threaded_is_yes_or_no() -> None:
    with pytest.raises(PolicyError, match="threaded is 'yes': it must be True or False"):
        register(Policy(name="p", window=HOUR, threaded="yes"))  # type: ignore[arg-type]


class Heavy(Item):
    """An item that notes who looks at its content."""

    looked_at: list[int] = []

    def __getattribute__(self, name: str) -> Any:
        if name == "data":
            Heavy.looked_at.append(self.id)
        return super().__getattribute__(name)


def test_of_ten_thousand_items_only_those_that_are_shown_cost_anything(templates: Path) -> None:
    register(Policy(name="short", window=HOUR, template="notes", retain=Retain(first=10)))
    write(
        templates,
        subject_txt="{% load pgsupervise_digest %}{{ count }} by {{ actors|summary }}",
        body_txt="{% for policy, group in by_policy %}{{ policy }}{% for i in group %} {{ i.data.text }}{% endfor %}"
        "{% endfor %}",
    )
    many = tuple(Heavy(n, NOON, "comments", f"actor {n % 50}", "doc", {"text": f"words {n}"}) for n in range(10_000))
    due = batch(*many, policy="short")
    render(due)  # so that what is loaded once is not measured
    Heavy.looked_at.clear()
    tracemalloc.start()
    rendered = payload(due)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(Heavy.looked_at) == set(range(10))
    assert rendered["text"] == "comments " + " ".join(f"words {n}" for n in range(10))
    assert rendered["subject"] == "10000 by actor 0, actor 1 and 48 others"
    assert peak < 150_000, "the payload's list of ids is 80 kB, and a context of all items would be as much again"


def test_a_digest_of_several_policies_is_grouped(templates: Path) -> None:
    mixed = [item(n)._replace(policy=policy) for n, policy in enumerate(["likes", "comments", "likes", "follows"])]
    context = context_of(batch(*mixed))
    assert [(name, [each.id for each in group]) for name, group in context["by_policy"]] == [
        ("likes", [0, 2]),
        ("comments", [1]),
        ("follows", [3]),
    ]
    regroup = (
        "{% load pgsupervise_digest %}{% regroup items|dictsort:'policy' by policy as kinds %}"
        "{% for kind in kinds %}{{ kind.grouper }} {{ kind.list|length }} {{ kind.list|actors|summary }}; {% endfor %}"
    )
    write(templates, subject_txt="x", body_txt=regroup)
    assert payload(batch(*mixed))["text"] == "comments 1 Bob; follows 1 Bob; likes 2 Bob; "


def test_the_context_tells_whom_it_is_for(templates: Path) -> None:
    write(templates, subject_txt="x", body_txt="{{ properties.first_name }} {{ recipient }} {{ tenant }} {{ key }}")
    due = replace(batch(item(1), key="doc"), tenant="acme", person=ANN)
    assert payload(due)["text"] == "Ann ann@example.com acme doc"
    assert context_of(batch(item(1)))["properties"] == {}, "nothing is stored"


def test_one_template_s_variables_are_not_the_next_one_s(templates: Path) -> None:
    write(
        templates,
        subject_txt="{% load i18n %}{% get_current_language as count %}{{ count }}",
        body_txt="{{ count }}",
    )
    assert payload(batch(item(1), item(2)))["text"] == "2"


@pytest.mark.parametrize(
    ("actors", "named", "words"),
    [
        ([], 3, ""),
        (["A"], 3, "A"),
        (["A", "B", "C"], 3, "A, B and C"),
        (["A", "B", "C", "D"], 3, "A, B, C and 1 other"),
        (["A", "B", "C", "D", "E"], 3, "A, B, C and 2 others"),
        (["A", "B", "C"], 1, "A and 2 others"),
        (["A", "B"], 1, "A and 1 other"),
        ("Bob", 3, "Bob"),
        ("", 3, ""),
        (["100 %(s)d", "%"], 3, "100 %(s)d and %"),
    ],
)
def test_a_summary_names_as_many_as_it_is_told(actors: Any, named: int, words: str) -> None:
    template = Template("{% load pgsupervise_digest %}{{ actors|summary:named }}")
    assert template.render(Context({"actors": actors, "named": named}, autoescape=False)) == words


@pytest.mark.parametrize("named", [0, -1, "x", None, 1.5])
def test_a_summary_of_no_number_is_an_error_that_says_so(named: Any) -> None:
    template = Template("{% load pgsupervise_digest %}{{ actors|summary:named }}")
    with pytest.raises(ValueError, match="give summary an int of at least 1"):
        template.render(Context({"actors": ["A"], "named": named}))


def test_filters_name_actors_and_objects_once_and_escape_them() -> None:
    template = Template("{% load pgsupervise_digest %}{{ items|actors|summary }}; {{ items|objects|join:', ' }}")
    items = [item(1, "<b>"), item(2, "", "Home"), item(3, "Eve", ""), item(4, "<b>", "Trip")]
    assert template.render(Context({"items": items})) == "&lt;b&gt; and Eve; Trip, Home"


def test_a_message_for_several_channels_is_rendered_once(templates: Path) -> None:
    asked = []

    def address(recipient: str) -> str:
        asked.append(recipient)
        return recipient

    write(templates, subject_txt="hello", body_txt="world", body_html="<p>")
    channels.register("pager", ChannelSpec(build=NullChannel, takes={Part.SUBJECT}))
    register(Policy(name="both", window=HOUR, template="notes", address=address))
    inbox, pager, null = render(batch(item(1), policy="both"), ["inbox", "pager", "null"])
    assert asked == ["ann@example.com"]
    assert (inbox.channel, pager.channel, null.channel) == ("inbox", "pager", "null")
    assert inbox.payload == pager.payload | {"text": "world", "html": "<p>"}
    assert null.payload == {"items": 1, "item_ids": [1]}
    assert render(batch(item(1), policy="both"), []) == []


def test_each_channel_may_have_addresses_of_its_own(templates: Path) -> None:
    write(templates, subject_txt="hello", body_txt="world")
    register(Policy(name="both", window=HOUR, template="notes", address={"inbox": str.upper}))
    sendgrid, inbox, slack = render(batch(item(1), policy="both"), ["sendgrid", "inbox", "slack"])
    assert sendgrid.payload["to"] == slack.payload["to"] == "ann@example.com"
    assert inbox.payload["to"] == "ANN@EXAMPLE.COM"
    with pytest.raises(PolicyError, match="or a dict of such by channel"):
        register(Policy(name="odd", window=HOUR, address={"inbox": "ann"}))  # type: ignore[dict-item]  # the fault


@pytest.mark.parametrize("nasty", ["a\x00b", "a\ud800b", "a\udfff", "\ud83d\ude00 pair", "ü\x00\udc80"])
def test_what_jsonb_cannot_hold_is_left_out_of_the_payload(templates: Path, nasty: str) -> None:
    register(Policy(name="odd", window=HOUR, template="notes", threaded=True))
    write(templates, subject_txt="s {{ object }}", body_txt="{{ object }}", body_html="{{ object }}")
    rendered = payload(batch(item(1, object_=nasty), policy="odd", key=nasty))
    text = json.dumps(rendered, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert (
        rendered["text"]
        == rendered["html"]
        == nasty.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
