"""The admin shows every table, links what belongs together, and changes nothing."""

import re
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pgsupervise.django_app.admin import changelist
from pgsupervise.django_app.admin.times import duration
from pgsupervise.django_app.models import (
    Batch,
    Delivery,
    Event,
    FinishedTask,
    InboxMessage,
    Lease,
    ProviderEvent,
    Task,
    Worker,
)
from pgsupervise.django_app.tasks import cancel
from pgsupervise.partitions.states import BatchState, DeliveryState, EventState, TaskState

ADMIN = "/admin/pgsupervise/"
HOSTILE = "<script>alert('x')</script>\"&"
WORKER, SUPERVISOR = UUID(int=1), UUID(int=2)


@pytest.fixture
def root(db: str) -> Client:
    return logged_in(User.objects.create_superuser("root"))


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, path: str) -> list[Any]:
    """Return the keys of the rows that a list shows."""
    response: Any = client.get(ADMIN + path)
    assert response.status_code == 200, path
    return [row.pk for row in response.context_data["cl"].result_list]


def finished(**fields: Any) -> FinishedTask:
    defaults: dict[str, Any] = {"name": "shop.tasks.bill", "state": TaskState.DONE, "finished_at": timezone.now()}
    return FinishedTask.objects.create(**{**defaults, **fields})


class Rows(NamedTuple):
    """One row of each table, linked to each other and full of markup; and an event that is still pending."""

    worker: Worker
    task: Task
    finishedtask: FinishedTask
    batch: Batch
    event: Event
    delivery: Delivery
    inboxmessage: InboxMessage
    providerevent: ProviderEvent
    pending: Event


@pytest.fixture
def rows(db: str) -> Rows:
    now = timezone.now()
    worker = Worker.objects.create(
        id=WORKER, supervisor=SUPERVISOR, kind="worker", slot=0, host=HOSTILE, pid=4711, partitions=8, processes=8,
        state="DEAD", started_at=now, beat_at=now, end_reason=HOSTILE, running_task=1,
    )  # fmt: skip
    Lease.objects.filter(bucket__in=[5, 6]).update(owner=WORKER)
    told: dict[str, Any] = {"policy": "comments", "recipient": HOSTILE}
    batch = Batch.objects.create(
        **told, state=BatchState.SEALED, opened_at=now, closes_at=now, deliver_at=now, sealed_at=now, item_count=1,
        error=HOSTILE,
    )  # fmt: skip
    claimed: dict[str, Any] = {"claimed_by": WORKER, "claimed_at": now}
    delivery = Delivery.objects.create(
        **told, batch=batch, channel="inbox", payload={"html": HOSTILE}, state=DeliveryState.SENDING, **claimed
    )
    return Rows(
        worker=worker,
        task=Task.objects.create(name="a", key=HOSTILE, args=[HOSTILE], state=TaskState.IN_PROGRESS, **claimed),
        finishedtask=finished(
            id=90, key=HOSTILE, kwargs={"a": HOSTILE}, worker=WORKER, error=HOSTILE, traceback=HOSTILE, started_at=now
        ),
        batch=batch,
        event=Event.objects.create(**told, actor=HOSTILE, data={"a": HOSTILE}, batch=batch, state=EventState.FOLDED),
        delivery=delivery,
        inboxmessage=InboxMessage.objects.create(
            delivery=delivery, recipient=HOSTILE, policy="comments", subject=HOSTILE, text=HOSTILE, html=HOSTILE
        ),
        providerevent=ProviderEvent.objects.create(
            bucket=delivery.bucket,
            delivery=delivery,
            kind="bounce",
            attempt=1,
            event_id="e1",
            address=HOSTILE,
            reason=HOSTILE,
            occurred_at=now,
        ),
        pending=Event.objects.create(**told),
    )


TABLES = [
    "batch", "clock", "delivery", "event", "finishedtask", "inboxmessage", "lease", "providerevent", "task", "worker"
]  # fmt: skip


@pytest.fixture
def pages(rows: Rows) -> list[str]:
    """Return the paths of every list and of a row of each."""
    keys = {"clock": 1, "lease": 5, **{table: row.pk for table, row in rows._asdict().items() if table in TABLES}}
    return [f"{ADMIN}{table}/" for table in TABLES] + [f"{ADMIN}{table}/{keys[table]}/change/" for table in TABLES]


def test_every_page_opens_with_few_queries_and_without_a_count(root: Client, pages: list[str]) -> None:
    for page in pages:
        with CaptureQueriesContext(connection) as queries:
            assert root.get(page).status_code == 200, page
        assert len(queries) <= 12, page
        assert "count(" not in str(queries.captured_queries).lower(), page


def test_what_rows_hold_is_escaped_everywhere(root: Client, pages: list[str]) -> None:
    for page in pages:
        assert b"<script>alert" not in root.get(page).content, page
    assert b"&quot;html&quot;: &quot;&lt;script&gt;" in root.get(f"{ADMIN}delivery/1/change/").content


def test_every_link_between_the_tables_resolves(root: Client, pages: list[str]) -> None:
    links = {
        link.replace("&amp;", "&")
        for page in pages
        for link in re.findall(rf'href="({ADMIN}[^"]+)"', root.get(page).content.decode())
    }
    assert f"{ADMIN}event/?batch=1" in links
    for link in links:
        assert root.get(link).status_code == 200, link


def test_only_a_user_with_the_permission_sees_a_table(db: str, pages: list[str]) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_task"))
    clerk, anonymous, customer = logged_in(user), Client(), logged_in(User.objects.create_user("customer"))
    for page in pages:
        assert clerk.get(page).status_code == (200 if page.startswith(f"{ADMIN}task/") else 403), page
        assert "/admin/login/" in anonymous.get(page)["Location"], page
        assert "/admin/login/" in customer.get(page)["Location"], page


def test_nobody_can_add_change_or_delete(root: Client, pages: list[str]) -> None:
    for page in pages:
        paths = [page.replace("change/", "delete/")] if "change" in page else [f"{page}add/"]
        for path in [page, *paths]:
            response = root.post(path, {"action": "delete_selected", "_selected_action": "1", "post": "yes"})
            # The one list that has actions of its own says that this is none of them, and shows itself again.
            shown = 302 if page == f"{ADMIN}delivery/" else 200
            assert response.status_code == (shown if path == page and "change" not in page else 403), path
    assert all(model.objects.exists() for model in (Task, FinishedTask, Event, Batch, Delivery, Worker, InboxMessage))


FILTERED: dict[str, list[Any]] = {
    "event/?batch=1": [1],
    "delivery/?batch=1": [1],
    "inboxmessage/?delivery=1": [1],
    "providerevent/?delivery=1": [1],
    "providerevent/?delivery=2": [],
    "providerevent/?kind=bounce": [1],
    "providerevent/?kind=dropped": [],
    "delivery/?duplicates=some": [],
    f"lease/?owner={WORKER}": [5, 6],
    f"task/?claimed_by={WORKER}": [1],
    f"delivery/?claimed_by={WORKER}": [1],
    "event/?batch=2": [],
    "delivery/?batch=2": [],
    "task/?state=IN+PROGRESS": [1],
    "task/?state=IN+PROGRESS&name=a": [1],
    "task/?state=READY": [],
    "task/?name=b": [],
    "event/?state=PENDING": [2],
    "event/?policy=comments": [2, 1],
    "batch/?state=WAITING": [],
    "batch/?state=SEALED": [1],
    "delivery/?state=SENDING": [1],
    "worker/?state=DEAD": [WORKER],
    "finishedtask/?state=DONE&name=shop.tasks.bill": [90],
    **{f"{table}/?state={value}": [] for table in ("task", "event", "batch") for value in ("X", "%00", "9" * 99)},
    **{f"delivery/?{link}={value}": [] for link in ("batch", "claimed_by") for value in ("x", "%00", "9" * 99)},
}


def test_filters_and_links_show_the_rows_that_they_name(root: Client, rows: Rows) -> None:
    assert {path: shown(root, path) for path in FILTERED} == FILTERED


SEARCHED: dict[tuple[str, str], list[Any]] = {
    ("task", HOSTILE): [1],
    ("task", " 1 "): [1],
    ("task", str(WORKER)): [1],
    ("finishedtask", "90"): [90],
    ("finishedtask", "shop.tasks.bill"): [90],
    ("event", HOSTILE): [2, 1],
    ("event", "2"): [2],
    ("batch", HOSTILE): [1],
    ("delivery", HOSTILE): [1],
    ("delivery", str(WORKER)): [1],
    ("inboxmessage", HOSTILE): [1],
    ("worker", str(WORKER)): [WORKER],
    ("worker", str(SUPERVISOR)): [WORKER],
    ("worker", "4711"): [WORKER],
    ("worker", HOSTILE): [WORKER],
    ("lease", "5"): [5],
    ("lease", str(WORKER)): [5, 6],
    ("clock", "there is nothing to search"): [1],
}


def test_a_search_finds_exactly_what_it_names(root: Client, rows: Rows) -> None:
    found = {(table, term): shown(root, f"{table}/?{urlencode({'q': term})}") for table, term in SEARCHED}
    assert found == SEARCHED


@pytest.mark.parametrize(
    "term", ["nobody", "%", "'; --", "\0", "a\0", "9" * 19, "9" * 400, "٣", "-5", "x" * 10_000_000], ids=lambda t: t[:9]
)
def test_a_search_that_fits_nothing_gives_an_empty_list(root: Client, rows: Rows, term: str) -> None:
    for table in set(TABLES) - {"clock"}:
        response: Any = root.get(f"{ADMIN}{table}/", {"q": term})
        assert response.status_code == 200, table
        assert not response.context_data["cl"].result_list, table
        assert len(response.content) < 100_000, table


def test_an_admin_is_counted_no_further_than_its_list_goes(root: Client, rows: Rows) -> None:
    with CaptureQueriesContext(connection) as queries:
        chosen = {"app_label": "pgsupervise", "model_name": "event", "field_name": "batch", "term": ""}
        assert root.get("/admin/autocomplete/", chosen).status_code == 200
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all(f"LIMIT {changelist.WINDOW}" in sql for sql in counts)


def test_a_key_is_found_in_each_state(root: Client) -> None:
    later = timezone.now() + timedelta(days=1)
    ready, scheduled = Task.objects.create(name="a", key="7"), Task.objects.create(name="a", key="7", run_at=later)
    assert shown(root, "task/?q=7") == [scheduled.pk, ready.pk]


def test_an_address_cannot_ask_for_a_lookup_or_an_order_that_no_index_serves(root: Client, rows: Rows) -> None:
    for lookup in ("error__icontains=x", "batch__policy=x", "nothing=x"):
        assert root.get(f"{ADMIN}event/?{lookup}").status_code in (302, 400), lookup
    assert shown(root, "event/?o=3&all=1") == [2, 1]


def test_a_long_list_has_pages_and_an_end(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelist, "MAX_PAGES", 2)
    Task.objects.bulk_create([Task(name="a") for _ in range(201)])
    assert shown(root, "task/") == list(range(201, 101, -1))
    assert shown(root, "task/?p=2") == shown(root, "task/?p=99") == list(range(101, 1, -1))
    assert b'href="?p=2">Next page' in root.get(f"{ADMIN}task/").content
    last = root.get(f"{ADMIN}task/?p=2").content.decode()
    assert "Previous page" in last
    assert "narrow the list" in last
    assert "Next page" not in last


def test_a_filter_without_an_index_looks_at_the_newest_rows(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelist, "WINDOW", 10)
    Task.objects.bulk_create([Task(name="a" if number % 2 else "b") for number in range(20)])
    assert shown(root, "task/?name=a") == [20, 18, 16, 14, 12]
    assert shown(root, "task/?name=a&q=2") == [2], "a search finds older ones too"


def test_a_task_that_is_to_be_cancelled_is_shown_as_such(root: Client) -> None:
    waiting, other = Task.objects.create(name="a"), Task.objects.create(name="a")
    assert cancel(waiting.pk)
    listed = root.get(f"{ADMIN}task/").content.decode()
    assert "Cancel requested" in listed
    assert re.findall(r"field-cancel_requested[^>]*>(?:<span[^>]*>)?[^<]*(ago|-)<", listed) == ["-", "ago"]
    for task, words in ((waiting, str(timezone.now().year)), (other, "-")):
        page = root.get(f"{ADMIN}task/{task.pk}/change/").content.decode()
        shown_as = re.search(r'field-cancel_requested_at.*?class="readonly">(.*?)</div>', page, re.DOTALL)
        assert shown_as is not None
        assert words in shown_as[1]


def test_cancelled_tasks_have_a_filter(root: Client) -> None:
    for number, state in enumerate((TaskState.DONE, TaskState.CANCELLED, TaskState.DEAD)):
        finished(id=number, state=state)
    assert shown(root, "finishedtask/?state=CANCELLED") == [1]
    assert b"?state=CANCELLED" in root.get(f"{ADMIN}finishedtask/").content


def test_a_task_that_has_ended_is_shown_where_it_has_gone(root: Client) -> None:
    finished(id=7)
    finished(id=7, finished_at=timezone.now() + timedelta(hours=1), state=TaskState.DEAD, error="the second end")
    response: Any = root.get(f"{ADMIN}task/7/change/", follow=True)
    assert response.redirect_chain == [(f"{ADMIN}finishedtask/7/change/", 302)]
    assert b"the second end" in response.content
    assert root.get(f"{ADMIN}task/8/change/").status_code == 302, "to the index, as Django does"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 ms"), (0.0409, "40 ms"), (59.99, "59.9 s"), (60, "1 min 0 s"), (3599.9, "59 min 59 s"),
        (3600, "1 h 0 min"), (86399, "23 h 59 min"), (86400, "1 d 0 h"), (9e7, "1041 d 16 h"),
    ],
)  # fmt: skip
def test_durations_are_words_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words
