"""Fan-out: each follower is told once, however many there are and whatever happens to those who tell them."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgsupervise.django_app import fanout, fanout_task, followers
from pgsupervise.django_app.fanout import followers_of, notify_followers, resume_fan_out, subscribe
from pgsupervise.django_app.fanout_slices import read_slice
from pgsupervise.django_app.followers import Rows, follower_source
from pgsupervise.django_app.models import Event, FanOut, Subscription, Task, Worker
from pgsupervise.django_app.policies import Policy, PolicyError, register
from pgsupervise.django_app.retracting import Retraction, retract_about
from pgsupervise.django_app.subscriptions import subscribed, unsubscribe, unsubscribe_all
from tests.integration.test_admin_plans import scans
from tests.registries import own_registries

pytestmark = pytest.mark.usefixtures("db")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Followers of this object between those of many others.
MANY = """
INSERT INTO pgsupervise_subscription (bucket, recipient, object_type, object_id)
SELECT get_byte(sha256(convert_to('user-' || i, 'UTF8')), 0), 'user-' || i, 'auth.group',
    CASE WHEN i %% 2 = 0 THEN %(group)s ELSE (i %% 50 + 1000)::text END
FROM generate_series(1, 40000) i;
ANALYZE pgsupervise_subscription
"""


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(followers, "_registry", {**followers._registry})
    with own_registries():
        register(Policy(name="posts", window=timedelta(minutes=5)))
        register(Policy(name="edits", window=timedelta(minutes=5), key="object"))
        yield


@pytest.fixture
def group(db: str) -> Group:
    return Group.objects.create(name="authors")


def users(count: int, **fields: Any) -> list[User]:
    return User.objects.bulk_create(
        [User(username=f"user-{number}", email=f"user-{number}@x.org", **fields) for number in range(count)]
    )


def active_users(argument: Any) -> Rows:
    """Return a source of followers as a project would write one."""
    return User.objects.filter(is_active=True)


def work() -> int:
    """Run the tasks of fan-outs until there are none; return how many ran."""
    ran = 0
    while task := Task.objects.filter(name="pgsupervise.fan_out").first():
        fanout_task.go_on(*task.args)
        Task.objects.filter(id=task.pk).delete()
        ran += 1
    return ran


def told() -> list[str]:
    return sorted(Event.objects.values_list("recipient", flat=True))


def test_the_callers_transaction_writes_one_row_and_one_task_for_any_number_of_followers(group: Group) -> None:
    for number in range(30):
        subscribe(group, f"user-{number}")
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        run = notify_followers(
            "posts", followers_of(group), {"title": "Rome"}, run="post-1", actor="Ann", tenant="acme"
        )
    inserts = [query["sql"] for query in queries if query["sql"].startswith("INSERT")]
    assert [sql.split()[2] for sql in inserts] == ['"pgsupervise_fanout"', "pgsupervise_task"]
    assert not Event.objects.exists()
    assert work() == 1
    run.refresh_from_db()
    assert (run.state, run.told, run.left_out, run.error) == ("DONE", 30, 0, "")
    assert told() == sorted(f"user-{number}" for number in range(30))


def test_an_event_says_what_the_call_said_and_occurred_when_it_was_made(group: Group) -> None:
    subscribe(group, "ann", tenant="acme")
    subscribe(group, "bob")
    run = notify_followers(
        "edits",
        followers_of(group, tenant="acme"),
        {"n": [1, "ü", None]},
        run="edit-1",
        actor="Eve",
        object="page-1",
        tenant="acme",
        about=group,
    )
    work()
    (event,) = Event.objects.all()
    assert (event.policy, event.recipient, event.tenant, event.key) == ("edits", "ann", "acme", "page-1")
    assert (event.actor, event.object, event.data) == ("Eve", "page-1", {"n": [1, "ü", None]})
    assert (event.about_type, event.about_id) == ("auth.group", str(group.pk))
    assert event.occurred_at == run.occurred_at < event.created_at, "the task ran later"


def test_a_second_call_with_the_same_run_is_the_first_one(group: Group) -> None:
    subscribe(group, "ann")
    first = notify_followers("posts", followers_of(group), run="post-1", occurred_at=NOON)
    again = notify_followers("edits", followers_of(group), run="post-1")
    assert (again.pk, again.policy, Task.objects.count()) == (first.pk, "posts", 1)
    work()
    again = notify_followers("posts", followers_of(group), run="post-1")
    assert (again.state, again.told, Task.objects.count(), Event.objects.count()) == ("DONE", 1, 0, 1)
    notify_followers("posts", followers_of(group), run="post-2")
    work()
    assert told() == ["ann", "ann"]


def test_the_callers_transaction_decides(group: Group) -> None:
    subscribe(group, "ann")
    with transaction.atomic():
        notify_followers("posts", followers_of(group), run="post-1")
        notify_followers("posts", Subscription.objects.all(), run="post-2")
        transaction.set_rollback(True)
    assert (FanOut.objects.count(), Task.objects.count(), Event.objects.count()) == (0, 0, 0)


def test_a_run_works_in_slices_and_leaves_the_worker_to_others_when_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout_task, "SLICE", 7)
    monkeypatch.setattr(fanout_task, "SECONDS", 0.0)
    active = follower_source("active", recipient="email")(active_users)
    users(20)
    run = notify_followers("posts", active.of(), run="post-1")
    assert work() == 3
    run.refresh_from_db()
    assert (run.state, run.slices, run.link, run.told) == ("DONE", 3, 2, 20)
    assert len(set(told())) == 20


def test_taking_back_what_a_run_is_about_ends_it_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_task, "SLICE", 7)
    monkeypatch.setattr(fanout_task, "SECONDS", 0.0)
    active = follower_source("active", recipient="email")(active_users)
    users(20)
    group = Group.objects.create(name="about")
    run = notify_followers("posts", active.of(), run="post-1", about=group)
    fanout_task.go_on(run.pk, run.bucket, run.link)
    assert retract_about(group) == {Retraction.RETRACTED: 7}
    work()
    run.refresh_from_db()
    assert (run.state, run.told, run.error) == ("DONE", 7, "what it is about was taken back")
    assert set(Event.objects.values_list("state", flat=True)) == {"RETRACTED"}


def test_a_follower_who_comes_and_goes_between_slices_moves_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_task, "SLICE", 5)
    monkeypatch.setattr(fanout_task, "SECONDS", 0.0)
    active = follower_source("active", recipient="email")(active_users)
    made = users(12)
    notify_followers("posts", active.of(), run="post-1")
    task = Task.objects.get()
    fanout_task.go_on(*task.args)
    task.delete()
    User.objects.filter(pk__in=[made[0].pk, made[6].pk]).delete()
    work()
    assert told() == sorted(user.email for user in made if user is not made[6])


def test_a_task_that_runs_twice_and_one_that_was_left_behind_tell_nobody_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_task, "SLICE", 4)
    monkeypatch.setattr(fanout_task, "SECONDS", 0.0)
    active = follower_source("active", recipient="email")(active_users)
    users(10)
    run = notify_followers("posts", active.of(), run="post-1")
    first = Task.objects.get()
    fanout_task.go_on(*first.args)
    fanout_task.go_on(*first.args)
    assert Task.objects.exclude(id=first.pk).count() == 1, "a task is followed by one task, though it ran twice"
    assert Event.objects.count() == 4
    with pytest.raises(LookupError, match="there is no run 'post-2': give the name"):
        resume_fan_out("post-2")
    with pytest.raises(TypeError, match=r"run is 5 \(int\): give a FanOut, or its name"):
        resume_fan_out(5)  # type: ignore[arg-type]  # wrong on purpose
    assert resume_fan_out("post-1") is True
    work()
    run.refresh_from_db()
    assert (run.told, len(set(told())), Event.objects.count()) == (10, 10, 10)
    assert resume_fan_out(run) is False


def test_a_failing_source_is_said_on_the_run_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_task, "SLICE", 4)
    calls = []

    def faulty(argument: Any) -> Rows:
        calls.append(argument)
        if len(calls) == 2:
            raise ZeroDivisionError("the service of\nfollowers is down")
        return User.objects.all()

    source = follower_source("faulty", recipient="email")(faulty)
    users(10)
    run = notify_followers("posts", source.of({"team": [7]}), run="post-1")
    task = Task.objects.get()
    with pytest.raises(ZeroDivisionError):
        fanout_task.go_on(*task.args)
    run.refresh_from_db()
    assert (run.state, run.told, run.error) == ("RUNNING", 4, "ZeroDivisionError: the service of followers is down")
    fanout_task.go_on(*task.args)
    run.refresh_from_db()
    assert (run.state, run.told, run.error) == ("DONE", 10, "")
    assert calls == [{"team": [7]}] * 4


def test_followers_without_a_usable_recipient_and_those_told_already_are_left_out() -> None:
    made = users(6)
    for user, email in zip(made, ["", "a\nb", "x" * 150, made[4].email], strict=False):
        User.objects.filter(pk=user.pk).update(email=email)
    run = notify_followers("posts", User.objects.all(), run="post-1", recipient_field="email")
    assert (run.told, run.left_out) == (3, 3)
    assert told() == sorted([made[4].email, made[5].email, "x" * 150])


def test_numbers_become_recipients_as_text() -> None:
    made = users(2)
    notify_followers("posts", User.objects.all(), run="post-1", recipient_field="id")
    assert told() == sorted(str(user.pk) for user in made)


def test_a_small_queryset_is_told_at_once(group: Group) -> None:
    for user in users(5):
        user.groups.add(group)
    queryset = User.objects.filter(groups=group, pk__gt=0).order_by("-username").distinct()
    run = notify_followers("posts", queryset, {"a": 1}, run="post-1", recipient_field="email", occurred_at=NOON)
    assert (run.state, run.told, run.slices, Task.objects.count()) == ("DONE", 5, 1, 0)
    assert set(Event.objects.values_list("occurred_at", flat=True)) == {NOON}
    assert notify_followers("posts", User.objects.all(), run="post-1", recipient_field="email").told == 5


def test_a_large_queryset_is_refused_with_the_cure_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MOST_AT_ONCE", 3)
    users(4)
    with pytest.raises(ValueError, match=r"more than 3 rows.*@follower_source.*\.of\(argument\)"):
        notify_followers("posts", User.objects.all(), run="post-1", recipient_field="email")
    assert not FanOut.objects.exists()


def test_a_row_with_several_recipients_is_refused_for_some_would_be_passed_over(group: Group) -> None:
    for user in users(3):
        user.groups.add(group)
    with pytest.raises(ValueError, match=r"has several recipients by 'user__email'.*own model"):
        notify_followers("posts", Group.objects.all(), run="post-1", recipient_field="user__email")
    assert not FanOut.objects.exists()


def test_what_cannot_be_told_is_refused_before_anything_is_written(group: Group) -> None:
    everybody = User.objects.all()
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"run": ""}, ValueError, "run is empty"),
        ({"run": "r" * 201}, ValueError, "shorten it to 200"),
        ({"policy": "postss"}, PolicyError, "no policy is registered"),
        ({"actor": 7}, TypeError, "actor is 7"),
        ({"data": {"at": NOON}}, TypeError, r"data\['at'\] is a datetime"),
        ({"tenant": "t" * 101}, ValueError, "tenant is"),
        ({"about": "page"}, TypeError, "about is 'page' .* instance of a model"),
        ({"about": Group()}, ValueError, "which is not saved: save it first"),
        ({"occurred_at": datetime(2026, 1, 1)}, ValueError, "without a time zone"),  # noqa: DTZ001 - the point
        ({"followers": [1, 2]}, TypeError, r"followers is \[1, 2\] \(list\): it must be a queryset"),
        ({"followers": everybody[:10]}, ValueError, "sliced, combined"),
        ({"followers": everybody.union(everybody)}, ValueError, "sliced, combined"),
        ({"followers": everybody.distinct("email")}, ValueError, "distinct on fields"),
        (
            {"recipient_field": "mail"},
            ValueError,
            "auth.User have no field 'mail'.*, such as .*recipient_field=\"email\"",
        ),
        ({"followers": followers.Followers("nobody", 1)}, LookupError, "no follower source is named 'nobody'.*pgsup"),
    ]
    for changes, error, words in refused:
        call = {"policy": "posts", "followers": everybody, "run": "post-1", "recipient_field": "email"} | changes
        with pytest.raises(error, match=words):
            notify_followers(**call)
    assert not FanOut.objects.exists()


def test_a_source_is_refused_when_declared_or_asked_with_what_is_not_json() -> None:
    source = follower_source("team")(active_users)
    with pytest.raises(ValueError, match="two follower sources are named 'team'"):
        follower_source("team")(users)  # type: ignore[arg-type]  # any other function
    assert follower_source("team")(active_users).name == source.name, "the same module imported again"
    with pytest.raises(ValueError, match="is empty"):
        follower_source("")
    with pytest.raises(TypeError, match="datetime"):
        source.of(NOON)
    with pytest.raises(
        TypeError, match=r"the argument of <follower source team> is a Group.*pass plain values, such as an"
    ):
        source.of(Group())
    with pytest.raises(ValueError, match="store the content in a table"):
        source.of("x" * 1_000_001)


def test_who_subscribes_twice_follows_once(group: Group) -> None:
    assert subscribe(group, "ann") is True
    assert subscribe(group, "ann") is False
    assert subscribe(group, "ann", tenant="acme") is True
    assert unsubscribe(group, "bob") is False
    assert unsubscribe(group, "ann") is True
    assert [row.tenant for row in Subscription.objects.all()] == ["acme"]
    assert unsubscribe_all(group) == 1
    with pytest.raises(ValueError, match="recipient is empty"):
        subscribe(group, "")
    for wrong in (group.name, None):
        with pytest.raises(TypeError, match="instance of a model"):
            followers_of(wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_primary_key_may_be_anything_that_has_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_task, "SLICE", 3)
    now = datetime.now(UTC)
    fields: dict[str, Any] = {"supervisor": uuid4(), "kind": "test", "slot": 0, "pid": 1, "partitions": 1}
    fields |= {"processes": 1, "state": "STOPPED", "started_at": now, "beat_at": now}
    Worker.objects.bulk_create(Worker(id=uuid4(), host=f"host-{number}", **fields) for number in range(10))
    hosts = follower_source("hosts", recipient="host")(lambda argument: Worker.objects.filter(kind=argument))
    run = notify_followers("posts", hosts.of("test"), run="post-1")
    work()
    run.refresh_from_db()
    assert (run.told, run.slices) == (10, 4)
    assert told() == sorted(f"host-{number}" for number in range(10))


def test_of_two_calls_at_once_one_begins_the_run(group: Group) -> None:
    subscribe(group, "ann")
    runs: list[int] = []

    def call() -> None:
        try:
            with transaction.atomic():
                begun.wait()
                runs.append(notify_followers("posts", followers_of(group), run="post-1").pk)
        finally:
            connection.close()

    begun = threading.Barrier(8)
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [FanOut.objects.get().pk] * 8
    assert Task.objects.count() == 1


def test_a_slice_reads_no_further_than_it_goes(group: Group) -> None:
    subscribe(group, "ann")
    with connection.cursor() as cursor:
        cursor.execute(MANY, {"group": str(group.pk)})
    rows = subscribed([*followers_of(group).argument])
    part = read_slice(rows, "recipient", "10000", 1000)
    assert (len(part.recipients), part.is_last) == (1000, False)
    with CaptureQueriesContext(connection) as queries:
        read_slice(rows, "recipient", part.place, 1000)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {queries[0]['sql']}")
        found = list(scans(cursor.fetchone()[0][0]["Plan"]))
    assert all(read <= 1001 and "Index" in scan for scan, read in found), found


def test_the_admin_shows_runs_and_subscriptions_and_changes_nothing(group: Group) -> None:
    subscribe(group, "ann")
    run = notify_followers("posts", followers_of(group), {"html": "<script>alert(1)</script>"}, run="post-1")
    notify_followers("posts", Subscription.objects.all(), run="post-2")
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    for path, shown in {
        "fanout/": ["post-2", "post-1"],
        "fanout/?q=post-1": ["post-1"],
        "fanout/?state=RUNNING": ["post-1"],
        "fanout/?policy=posts": ["post-2", "post-1"],
        "subscription/": ["ann"],
        "subscription/?q=ann": ["ann"],
        "subscription/?q=bob": [],
    }.items():
        response: Any = root.get(f"/admin/pgsupervise/{path}")
        rows = response.context_data["cl"].result_list
        assert [getattr(row, "name", None) or row.recipient for row in rows] == shown, path
    page = root.get(f"/admin/pgsupervise/fanout/{run.pk}/change/")
    assert page.status_code == 200
    assert b"<script>alert" not in page.content
    assert root.post(f"/admin/pgsupervise/fanout/{run.pk}/change/", {}).status_code == 403
    assert root.get("/admin/pgsupervise/subscription/add/").status_code == 403
