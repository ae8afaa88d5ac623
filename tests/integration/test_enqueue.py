"""Enqueueing: rows in the caller's transaction, one by one and in bulk."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from pgsupervise.django_app import bulk
from pgsupervise.django_app.models import Task, Worker
from pgsupervise.django_app.models.fields import TransactionNow
from pgsupervise.django_app.tasks import TaskFunction, task
from pgsupervise.partitions.buckets import bucket_of
from tests.registries import own_registries

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def send() -> Iterator[TaskFunction[..., None]]:
    with own_registries():

        @task(name="app.send", max_attempts=3, priority=2)
        def send(user: int, text: str = "", **more: object) -> None: ...

        yield send


def test_a_row_is_what_was_asked_for(send: TaskFunction[..., None]) -> None:
    task_id = send.enqueue(7, text="tab\t, slash \\, quote ', ü 🎈", tags=["a", None, 1.5, True])
    row = Task.objects.get(id=task_id)
    assert (row.name, row.args) == ("app.send", [7])
    assert row.kwargs == {"text": "tab\t, slash \\, quote ', ü 🎈", "tags": ["a", None, 1.5, True]}
    assert (row.state, row.priority, row.max_attempts, row.key, row.attempt) == ("READY", 2, 3, "", 0)
    assert row.run_at == row.created_at


def test_a_key_decides_the_bucket_and_no_key_spreads(send: TaskFunction[..., None]) -> None:
    keyed = send.using(key="customer-7")
    ids = [keyed.enqueue(number) for number in range(3)]
    rows = Task.objects.filter(id__in=ids)
    assert {(row.key, row.bucket) for row in rows} == {("customer-7", bucket_of("customer-7"))}
    buckets = set(Task.objects.filter(id__in=[send.enqueue(n) for n in range(50)]).values_list("bucket", flat=True))
    assert len(buckets) > 10


def test_the_callers_transaction_decides(send: TaskFunction[..., None]) -> None:
    with transaction.atomic():
        send.enqueue(1)
        send.enqueue_many([(2,), (3,)])
        transaction.set_rollback(True)
    assert not Task.objects.exists()


def test_a_time_makes_a_task_scheduled(send: TaskFunction[..., None]) -> None:
    at = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)
    row = Task.objects.get(id=send.using(run_at=at).enqueue(1))
    assert (row.state, row.run_at) == ("SCHEDULED", at)


def test_a_timedelta_counts_from_the_databases_clock(send: TaskFunction[..., None]) -> None:
    later = send.using(run_at=timedelta(hours=2))
    with transaction.atomic():
        later.enqueue(1)
        later.enqueue_many([(2,)])
        rows = Task.objects.annotate(now=TransactionNow())
        assert [row.run_at - row.now for row in rows] == [timedelta(hours=2)] * 2
        assert {row.state for row in rows} == {"SCHEDULED"}


def test_enqueue_and_the_model_make_the_same_row(send: TaskFunction[..., None]) -> None:
    columns = [field.attname for field in Task._meta.fields if field.attname not in ("id", "created_at", "run_at")]
    made = Task.objects.create(name="app.send", key="k", args=[1], priority=2, max_attempts=3)
    with transaction.atomic():
        send.using(key="k").enqueue(1)
        send.using(key="k").enqueue_many([[1]])
    rows = list(Task.objects.order_by("id").values_list(*columns))
    assert len(rows) == 3
    assert rows == [rows[0]] * 3
    assert made.state == "READY"


def test_many_calls_may_be_positional_or_named(send: TaskFunction[..., None]) -> None:
    assert send.enqueue_many([(1, "a\tb\n\\"), [2], {"user": 3, "x": {"y": [1]}}]) == 3
    rows = list(Task.objects.order_by("id").values_list("args", "kwargs"))
    assert rows == [([1, "a\tb\n\\"], {}), ([2], {}), ([], {"user": 3, "x": {"y": [1]}})]


def test_a_key_is_computed_for_each_call(send: TaskFunction[..., None]) -> None:
    send.using(priority=-4).enqueue_many([(1, "a"), {"user": 2}], key=lambda user, text="none": f"{user}\\{text}")
    rows = Task.objects.order_by("id").values_list("key", "bucket", "priority")
    assert list(rows) == [(key, bucket_of(key), -4) for key in ("1\\a", "2\\none")]


def test_a_generator_may_query_the_same_connection(
    send: TaskFunction[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 3)
    send.enqueue_many((number,) for number in range(10))

    def key(user: int) -> str:
        return f"{user}-{Worker.objects.count()}"

    calls = ((row.id,) for row in Task.objects.order_by("id").iterator(chunk_size=2))
    assert send.enqueue_many(calls, key=key) == 10
    assert Task.objects.filter(key__endswith="-0").count() == 10


def test_a_faulty_call_leaves_no_row_and_the_transaction_usable(
    send: TaskFunction[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 2)
    with transaction.atomic():
        send.enqueue(0)
        with pytest.raises(TypeError, match=r"task 'app\.send': argument text is a object") as refused:
            send.enqueue_many([(1,), (2,), (3,), (4, object())])
        assert refused.value.__notes__ == ["in call 3 (counted from 0) of enqueue_many"]
        send.enqueue(5)
    assert list(Task.objects.order_by("id").values_list("args", flat=True)) == [[0], [5]]


def test_a_call_must_be_arguments(send: TaskFunction[..., None]) -> None:
    with pytest.raises(TypeError, match=r"call 0 .* is 'abc' \(str\)"):
        send.enqueue_many(["abc"])
    with pytest.raises(ValueError, match="321 characters"):
        send.enqueue_many([(1,)], key=lambda user: "k" * 321)
    assert not Task.objects.exists()


def test_no_calls_are_no_rows(send: TaskFunction[..., None]) -> None:
    assert send.enqueue_many([]) == 0


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"text": datetime(2030, 1, 1, tzinfo=UTC)}, "argument text is a datetime"),
        ({"tags": [{1}]}, r"argument more\['tags'\]\[0\] is a set"),
        ({"text": "\x00"}, "argument text is a str with a NUL"),
        ({"text": float("nan")}, "argument text is a float"),
    ],
)
def test_arguments_that_are_not_json_are_named(
    send: TaskFunction[..., None], kwargs: dict[str, object], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        send.enqueue(1, **kwargs)


def test_arguments_of_a_megabyte_are_the_limit(send: TaskFunction[..., None]) -> None:
    fits = 1_000_000 - len(json.dumps([1, ""], separators=(",", ":"))) - len("{}")
    send.enqueue(1, "x" * fits)
    with pytest.raises(ValueError, match=r"1000001 bytes of JSON, and 1000000 are allowed: store .* pass its id"):
        send.enqueue(1, "x" * (fits + 1))
    with pytest.raises(ValueError, match="bytes of JSON"):
        send.enqueue(1, "ü" * (fits // 2 + 1))


def test_server_side_binding_is_supported(send: TaskFunction[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", True)
    assert Task.objects.get(id=send.using(run_at=timedelta(1)).enqueue(1, "a")).args == [1, "a"]
    assert Task.objects.get(id=send.using(run_at=datetime.now(UTC)).enqueue(1, "b")).args == [1, "b"]
    connection.close()
