"""Cancelling is a flag on the row, in the caller's own transaction."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from pgsupervise.django_app.models import FinishedTask, Task
from pgsupervise.django_app.models.fields import TransactionNow
from pgsupervise.django_app.tasks import cancel
from pgsupervise.partitions.states import TaskState
from tests.waiting import wait_until

Connect = Callable[[], psycopg.Connection]
pytestmark = pytest.mark.usefixtures("db")


def add(state: TaskState = TaskState.READY, **fields: Any) -> int:
    """Write a task and return its id."""
    if state is TaskState.IN_PROGRESS:
        fields = {"claimed_by": "00000000-0000-0000-0000-000000000001", "claimed_at": timezone.now(), **fields}
    pk: int = Task.objects.create(name="app.work", state=state, **fields).pk
    return pk


def requested(task_id: int) -> Any:
    return Task.objects.values_list("cancel_requested_at", flat=True).get(pk=task_id)


@pytest.mark.parametrize("state", [TaskState.SCHEDULED, TaskState.READY, TaskState.IN_PROGRESS])
def test_a_live_task_is_flagged_and_otherwise_as_it_was(state: TaskState) -> None:
    task_id, other = add(state), add(state)
    before = Task.objects.values().get(pk=task_id)
    with transaction.atomic():
        assert cancel(task_id) is True
        after = Task.objects.annotate(now=TransactionNow()).values().get(pk=task_id)
    assert after == {**before, "cancel_requested_at": after["now"], "now": after["now"]}
    assert requested(other) is None


def test_asking_again_keeps_the_first_time() -> None:
    task_id = add()
    assert cancel(task_id)
    first = requested(task_id)
    assert cancel(task_id) is True
    assert requested(task_id) == first


@pytest.mark.parametrize("state", [TaskState.DONE, TaskState.DEAD, TaskState.CANCELLED])
def test_a_task_that_has_ended_is_not_live(state: TaskState) -> None:
    FinishedTask.objects.create(id=7, name="app.work", state=state, finished_at=timezone.now())
    assert cancel(7) is False


@pytest.mark.parametrize("unknown", [10**9, 0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**40])
def test_no_task_of_an_unknown_id_is_live(unknown: int) -> None:
    task_id = add()
    assert cancel(unknown) is False
    assert requested(task_id) is None


@pytest.mark.parametrize("wrong", ["7", 7.0, None, True, [7]])
def test_an_id_that_is_no_int_is_refused_with_the_cure(wrong: Any) -> None:
    with pytest.raises(TypeError) as refused:
        cancel(wrong)
    kind = type(wrong).__name__
    assert str(refused.value) == f"task_id is {wrong!r} ({kind}): it must be an int, the id that enqueue() returned"


def test_the_callers_transaction_decides(connect: Connect) -> None:
    task_id, outside = add(), connect()
    seen = "SELECT cancel_requested_at IS NOT NULL FROM pgsupervise_task"
    with transaction.atomic():
        assert cancel(task_id)
        assert outside.execute(seen).fetchone() == (False,)
        transaction.set_rollback(True)
    assert outside.execute(seen).fetchone() == (False,)
    with transaction.atomic():
        assert cancel(task_id)
    assert outside.execute(seen).fetchone() == (True,)


def test_who_asks_while_the_task_ends_is_told_that_it_has_ended(connect: Connect) -> None:
    task_id, worker, watching = add(), connect(), connect()
    answers: list[bool] = []

    def ask() -> None:
        answers.append(cancel(task_id))
        connection.close()

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with worker.transaction():
        worker.execute("DELETE FROM pgsupervise_task WHERE id = %s", [task_id])
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: watching.execute(waiting).fetchone() == (1,), 10)
    asking.join(10)
    assert answers == [False]


@pytest.fixture
def server_side(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", True)
    yield
    connection.close()


@pytest.mark.usefixtures("server_side")
def test_server_side_binding_is_supported() -> None:
    task_id = add()
    assert [cancel(task_id), cancel(2**63 - 1)] == [True, False]


def test_flagged_tasks_and_no_others_are_found_by_an_index_of_their_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'pgsupervise_task_cancel'")
        assert cursor.fetchone()[0].endswith("USING btree (id) WHERE (cancel_requested_at IS NOT NULL)")
