"""The inbox for its reader: lists, counts, marks and shelves, as a function, as JSON and in a template."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection, transaction
from django.template import Context, Template
from django.test import Client, RequestFactory, override_settings

from pgsupervise.django_app import inbox
from pgsupervise.django_app.inbox import Shelf
from pgsupervise.django_app.models import Batch, Event, InboxMessage
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.states import EventState
from tests.registries import own_registries

ADA, EVE = "ada@example.com", "eve@example.com"
pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


def message(recipient: str = ADA, *, events: list[int] | None = None, **changes: Any) -> InboxMessage:
    count = InboxMessage.objects.count() + 1
    given = {"subject": f"Subject {count}", "text": "T", "policy": "news", "item_ids": events or [], **changes}
    return InboxMessage.objects.create(delivery_id=count, recipient=recipient, **given)


def ids(found: Any) -> list[int]:
    return [one.pk for one in found]


def event(state: EventState = EventState.PENDING, batch: Batch | None = None) -> Event:
    return Event.objects.create(policy="news", recipient=ADA, state=state, batch=batch)


def test_each_shelf_has_its_own_and_the_newest_come_first() -> None:
    first, second, third, fourth = (message() for _ in range(4))
    message(EVE)
    inbox.mark_messages_read(ADA, [second.pk])
    inbox.archive(ADA, [third.pk])
    assert ids(inbox.messages(ADA)) == [fourth.pk, second.pk, first.pk]
    assert ids(inbox.messages(ADA, Shelf.UNREAD)) == [fourth.pk, first.pk]
    assert ids(inbox.messages(ADA, Shelf.ARCHIVED)) == [third.pk]
    assert inbox.unread_count(ADA) == 2


def test_pages_do_not_move_when_messages_arrive() -> None:
    all_ids = ids([message() for _ in range(5)])
    first = inbox.page(ADA, limit=2)
    message()
    second = inbox.page(ADA, before=first[-1].pk, limit=2)
    assert ids([*first, *second]) == all_ids[:0:-1]
    assert len(inbox.page(ADA, limit=10_000)) == 6
    assert len(inbox.page(ADA, limit=-1)) == 1


def test_reading_unreading_and_shelving_say_how_many_they_changed() -> None:
    mine, other = [message().pk, message().pk], message(EVE).pk
    assert inbox.mark_messages_read(ADA, [*mine, other, 0, -1, 2**70]) == 2
    assert inbox.mark_messages_read(ADA, mine) == 0
    assert inbox.mark_messages_unread(ADA, [mine[0], other]) == 1
    assert inbox.archive(ADA, [*mine, other]) == 2
    assert inbox.archive(ADA, mine) == 0
    assert (inbox.unread_count(ADA), inbox.unread_count(EVE)) == (0, 1)
    assert inbox.unarchive(ADA, mine) == 2
    assert inbox.unread_count(ADA) == 1


def test_all_are_those_that_are_kept() -> None:
    message(), message()
    kept_away = message()
    inbox.archive(ADA, [kept_away.pk])
    assert inbox.mark_messages_read(ADA, "all") == 2
    kept_away.refresh_from_db()
    assert kept_away.read_at is None


def test_reading_a_message_reads_its_events_and_what_is_pending_of_them_leaves_its_digest() -> None:
    told = event()
    others = event()
    shown = message(events=[told.pk])
    assert inbox.mark_messages_read(ADA, [shown.pk]) == 1
    told.refresh_from_db()
    others.refresh_from_db()
    assert (told.state, told.reason) == ("FILTERED", "read")
    assert told.read_at is not None
    assert (others.state, others.read_at) == ("PENDING", None)


def test_reading_is_part_of_the_callers_transaction() -> None:
    told = event()
    shown = message(events=[told.pk])
    with transaction.atomic():
        inbox.mark_messages_read(ADA, [shown.pk])
        transaction.set_rollback(True)
    told.refresh_from_db()
    assert (inbox.unread_count(ADA), told.read_at) == (1, None)


@pytest.mark.parametrize("wrong", ["some", [True], ["1"], [1.0]])
def test_ids_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        inbox.mark_messages_read(ADA, wrong)


def test_the_count_ends_where_a_badge_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_COUNTED", 3)
    for _ in range(5):
        message()
    assert inbox.unread_count(ADA) == 3


def test_count_and_lists_use_their_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO pgsupervise_inboxmessage (bucket, delivery_id, recipient, policy, subject, text, read_at)"
            " SELECT get_byte(sha256(convert_to('r' || i % 50, 'UTF8')), 0), i, 'r' || i % 50, 'p', 's', 't',"
            " CASE WHEN i % 20 > 0 THEN now() END FROM generate_series(1, 20000) i; ANALYZE pgsupervise_inboxmessage"
        )
    assert "pgsupervise_inbox_unread" in inbox.messages("r7", Shelf.UNREAD).order_by()[:1000].explain()
    assert "pgsupervise_inbox_unread" in inbox.messages("r7", Shelf.UNREAD)[:20].explain()
    assert "pgsupervise_inbox_kept" in inbox.messages("r7")[:20].explain()


@pytest.fixture
def ada() -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(User.objects.create_user("ada", ADA))
    return client


def post(client: Client, action: str, body: Any) -> Any:
    content = body if isinstance(body, str) else json.dumps(body)
    return client.post(f"/inbox/{action}/", content, content_type="application/json")


def test_json_lists_only_what_is_ones_own(ada: Client) -> None:
    mine, _ = message(html="<b>T</b>", events=[4]), message(EVE)
    answer = ada.get("/inbox/")
    found = answer.json()
    assert (found["unread"], ids_of(found), found["next_before"]) == (1, [mine.pk], None)
    (only,) = found["messages"]
    assert (only["subject"], only["html"], only["events"]) == ("Subject 1", "<b>T</b>", [4])
    assert only["read_at"] is None
    assert "no-store" in answer["Cache-Control"]


def ids_of(answer: dict[str, Any]) -> list[int]:
    return [one["id"] for one in answer["messages"]]


def test_json_is_paged_by_id(ada: Client) -> None:
    all_ids = ids([message() for _ in range(5)])
    seen, before = [], ""
    while True:
        found = ada.get(f"/inbox/?limit=2{before}").json()
        seen += ids_of(found)
        if found["next_before"] is None:
            break
        before = f"&before={found['next_before']}"
    assert seen == all_ids[::-1]


def test_json_acts_and_tells_what_is_unread_now(ada: Client) -> None:
    first, second, hers = message().pk, message().pk, message(EVE).pk
    assert post(ada, "read", {"ids": [first, hers]}).json() == {"changed": 1, "unread": 1}
    assert post(ada, "unread", {"ids": [first]}).json() == {"changed": 1, "unread": 2}
    assert post(ada, "archive", {"ids": [second]}).json() == {"changed": 1, "unread": 1}
    assert ids_of(ada.get("/inbox/?shelf=archived").json()) == [second]
    assert post(ada, "unarchive", {"ids": [second]}).json() == {"changed": 1, "unread": 2}
    assert post(ada, "read", {"ids": "all"}).json() == {"changed": 2, "unread": 0}
    assert ada.get("/inbox/count/").json() == {"unread": 0}
    assert InboxMessage.objects.get(pk=hers).read_at is None


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "null", "\xff", "[" * 70_000, json.dumps({"ids": list(range(1001))})),
        *('{"ids": "all"}', '{"ids": [1.5]}', '{"ids": [true]}', '{"ids": ["1"]}'),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(ada: Client, body: str) -> None:
    assert post(ada, "archive", body).status_code == 400


DIGITS = f"before={1:020}{7:05000}"  # more than Python makes a number of


@pytest.mark.parametrize(
    "query", ["shelf=cellar", "before=x", "before=-1", "limit=0", f"before={2**63}", "limit=²", DIGITS]
)
def test_a_query_that_makes_no_sense_is_refused(ada: Client, query: str) -> None:
    assert ada.get(f"/inbox/?{query}").status_code == 400


@pytest.mark.parametrize("action", ["read", "unread", "archive", "unarchive"])
def test_an_action_needs_a_login_a_token_and_post(ada: Client, action: str) -> None:
    shown = message().pk
    assert ada.get(f"/inbox/{action}/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    assert post(strict, action, {"ids": [shown]}).status_code == 403
    strict.force_login(User.objects.get())
    assert post(strict, action, {"ids": [shown]}).status_code == 403
    assert post(Client(), action, {"ids": [shown]}).status_code == 401
    assert InboxMessage.objects.filter(read_at=None, archived_at=None).count() == 1


def test_without_a_login_or_an_address_there_is_nothing() -> None:
    message()
    assert Client().get("/inbox/").status_code == 401
    assert Client().get("/inbox/count/").status_code == 401
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody"))
    assert nobody.get("/inbox/").status_code == 404


def test_the_project_says_which_recipient_a_user_is(ada: Client) -> None:
    message("user-7")
    with override_settings(PGSUPERVISE={"RECIPIENT_OF_USER": f"{__name__}.seven"}):
        assert ada.get("/inbox/count/").json() == {"unread": 1}


def seven(user: Any) -> str:
    return "user-7"


def rendered(source: str, user: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    return Template("{% load pgsupervise_inbox %}" + source).render(Context({"request": request}))


def test_templates_show_the_count_and_the_newest(ada: Client) -> None:
    message(subject="<first>"), message(subject="second"), message(EVE)
    user = User.objects.get()
    assert rendered("{% inbox_unread %}", user) == "2"
    listed = "{% inbox_messages 5 as found %}{% for one in found %}[{{ one.subject }}]{% endfor %}"
    assert rendered(listed, user) == "[second][&lt;first&gt;]"
    assert rendered('{% inbox_messages 1 "unread" as found %}{{ found|length }}', user) == "1"
    assert rendered("{% inbox_unread %}" + listed, AnonymousUser()) == "0"
    assert Template("{% load pgsupervise_inbox %}{% inbox_unread %}").render(Context({})) == "0"


def test_what_is_listed_lies_in_the_recipients_bucket() -> None:
    assert message().bucket == bucket_of(ADA)
