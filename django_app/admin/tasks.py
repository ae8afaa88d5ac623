"""Lists of live and finished tasks."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from pgsupervise.django_app.models import FinishedTask, Task, Worker
from pgsupervise.partitions.states import TaskState

from .display import linked, shortened
from .filters import CLAIMED, NEWEST, Order, Rows, StateFilter, TaskNameFilter, WorkerLink
from .readonly import ReadOnlyAdmin
from .recipients import by_id
from .terms import Term, parse_id
from .times import lasted, moment


def ended(number: int) -> bool:
    """Return whether a task is no longer among the live ones but among the finished ones."""
    return not Task.objects.filter(id=number).exists() and FinishedTask.objects.filter(id=number).exists()


class LiveStateFilter(StateFilter):
    """Each state of a live task has its partial index."""

    orders = {
        TaskState.SCHEDULED: Order(("bucket", "run_at"), "by bucket, the next one due first"),
        TaskState.READY: Order(("bucket", "priority", "id"), "by bucket, in the order of claiming"),
        TaskState.IN_PROGRESS: Order(("claimed_by",), "by worker"),
    }


class ClaimLink(WorkerLink):
    """Tasks that a worker holds."""

    title = "worker"
    parameter_name = "claimed_by"
    state = TaskState.IN_PROGRESS
    sorting = CLAIMED


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    """What is to be done and what is being done."""

    list_display = (
        "id",
        "name",
        "state",
        shortened("key", 40),
        "bucket",
        "priority",
        "attempt",
        moment("run_at", "due"),
        linked("claimed_by", Worker),
        moment("cancel_requested_at"),
        shortened("error"),
    )
    list_filter = (LiveStateFilter, TaskNameFilter, ClaimLink)
    search_help_text = "An id, a key, or the id of the worker that holds the task: each in full."
    deferred = ("args", "kwargs", "traceback")
    links = {"claimed_by": Worker}

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id, by key and by worker."""
        yield by_id(Task, term)
        in_progress = Task.objects.filter(state=TaskState.IN_PROGRESS)
        if term.uuid is not None:
            yield in_progress.filter(claimed_by=term.uuid).order_by("claimed_by")
        in_bucket = Task.objects.filter(bucket=term.bucket, key=term.text)
        yield in_bucket.filter(state=TaskState.READY).order_by("priority", "id")
        yield in_bucket.filter(state=TaskState.SCHEDULED).order_by("run_at")
        yield in_progress.filter(key=term.text).order_by("claimed_by")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a task; one that has ended since the link to it was made is shown where it has gone."""
        number = parse_id(object_id)
        if number is not None and self.has_view_permission(request) and ended(number):
            return HttpResponseRedirect(reverse("admin:pgsupervise_finishedtask_change", args=[number]))
        return super().change_view(request, object_id, form_url, extra_context)


class EndedStateFilter(StateFilter):
    """Dead tasks have a partial index, since they are rare and looked for."""

    orders = {TaskState.DEAD: NEWEST}


class EndedNameFilter(TaskNameFilter):
    """Finished tasks have an index by name."""

    def order(self) -> Order:
        """Return the order of that index within a name."""
        return NEWEST


@admin.register(FinishedTask)
class FinishedTaskAdmin(ReadOnlyAdmin):
    """What has ended, and how."""

    list_display = (
        "id",
        "name",
        "state",
        shortened("key", 40),
        "attempt",
        moment("finished_at"),
        lasted("waited", "run_at", "started_at"),
        lasted("took", "started_at", "finished_at"),
        linked("worker", Worker),
        shortened("error"),
    )
    list_filter = (EndedStateFilter, EndedNameFilter)
    search_help_text = "An id or a task's name: each in full."
    deferred = ("args", "kwargs", "traceback")
    links = {"worker": Worker}

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by name."""
        yield by_id(FinishedTask, term)
        yield FinishedTask.objects.filter(name=term.text).order_by("-finished_at")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> FinishedTask | None:
        """Return the task's latest end: the table's key also has the day, so an id may be there more than once."""
        number = parse_id(object_id)
        if number is None:
            return None
        return FinishedTask.objects.filter(id=number).order_by("-finished_at").first()
