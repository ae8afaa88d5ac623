"""Lists of processes and of the buckets that they own."""

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import Q

from pgsupervise.django_app.models import Delivery, Lease, Task, Worker

from .display import EMPTY, cell, linked, listed, row_link, shortened
from .filters import Order, Rows, StateFilter, WorkerLink
from .readonly import ReadOnlyAdmin
from .terms import Term
from .times import moment


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """The processes, those of late too; retention keeps the table small."""

    order = Order(("-started_at", "id"), "newest first")
    small = True
    links = {"running_task": Task}
    related = (
        listed("leases", Lease, "owner"),
        listed("tasks", Task, "claimed_by"),
        listed("deliveries", Delivery, "claimed_by"),
    )
    list_display = (
        cell("slot", lambda worker: f"{worker.kind}\u2011{worker.slot}"),
        shortened("host", 40),
        "pid",
        "state",
        moment("beat_at", "last beat"),
        moment("started_at"),
        shortened("end_reason"),
        linked("running_task", Task),
        *related,
    )
    list_filter = (StateFilter,)
    search_help_text = "The id of a worker or of a supervisor, a host, or a pid: each in full."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by process, by supervisor, by host and by pid."""
        fits = Q(host=term.text)
        if term.uuid is not None:
            fits |= Q(id=term.uuid) | Q(supervisor=term.uuid)
        if term.id is not None:
            fits |= Q(pid=term.id)
        return (Worker.objects.filter(fits),)


class OwnerLink(WorkerLink):
    """A worker's leases."""

    title = parameter_name = "owner"


def owner(lease: Lease) -> str:
    """Return a link to the owner; its row may have been pruned, and the lease still names it."""
    if lease.owner_id is None:
        return EMPTY
    return row_link(Worker, lease.owner_id, lease.owner or lease.owner_id)


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    """Who owns which bucket; bucket -1 is the seat of the leading keeper."""

    order = Order(("bucket",), "by bucket")
    small = True
    list_display = ("bucket", cell("owner", owner), "epoch", moment("changed_at"))
    list_filter = (OwnerLink,)
    list_select_related = ("owner",)
    search_help_text = "A bucket, or the id of a worker."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by bucket and by owner."""
        yield Lease.objects.filter(bucket=term.id) if term.id is not None else Lease.objects.none()
        if term.uuid is not None:
            yield Lease.objects.filter(owner=term.uuid)
