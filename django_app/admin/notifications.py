"""Lists of events and of the batches that they are folded into."""

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest

from pgsupervise.django_app.models import Batch, Clock, Delivery, Event
from pgsupervise.partitions.states import BatchState, EventState

from .display import cell, linked, list_link, listed, shortened
from .filters import Admin, IdLink, Order, PolicyFilter, Rows, StateFilter
from .previews import PreviewMixin, preview_link
from .readonly import ReadOnlyAdmin
from .recipients import by_id, of_recipient
from .terms import Term
from .times import moment

FOUND_BATCHES = 200
"""Batches of a recipient, the newest ones, whose events a search shows."""


class EventStateFilter(StateFilter):
    """Pending events have a partial index."""

    orders = {EventState.PENDING: Order(("bucket", "occurred_at", "id"), "by bucket, in the order of folding")}


class EventBatchLink(IdLink):
    """A batch's events."""

    title = parameter_name = "batch"
    sorting = Order(("occurred_at", "id"), "in the order of the message")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What there is to tell."""

    list_display = (
        "id",
        "policy",
        shortened("recipient", 60),
        shortened("key", 40),
        shortened("actor", 40),
        shortened("object", 40),
        moment("occurred_at"),
        "state",
        linked("batch", Batch, "batch_id"),
    )
    list_filter = (EventStateFilter, PolicyFilter, EventBatchLink)
    search_help_text = (
        f"An id, or a recipient in full: its pending events and those of its {FOUND_BATCHES} newest batches."
    )
    deferred = ("data",)

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id, and a recipient's pending events and those of its batches."""
        yield by_id(Event, term)
        pending = Event.objects.filter(state=EventState.PENDING, bucket=term.bucket, recipient=term.text)
        yield pending.order_by("occurred_at", "id")
        batches = list(of_recipient(Batch, term).values_list("id", flat=True)[:FOUND_BATCHES])
        yield Event.objects.filter(batch_id__in=batches).order_by("-batch_id")


class BatchStateFilter(StateFilter):
    """Batches that are not sealed share one partial index, so they are one choice."""

    orders = {"WAITING": Order(("bucket", "deliver_at"), "by bucket, the next one due first")}

    def lookups(self, request: HttpRequest, model_admin: Admin) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("WAITING", "OPEN or CLOSED"), (BatchState.SEALED.value, BatchState.SEALED.value)]

    def select(self, rows: Rows, value: str) -> Rows:
        """Return the rows of a choice."""
        return rows.exclude(state=BatchState.SEALED) if value == "WAITING" else super().select(rows, value)


@admin.register(Batch)
class BatchAdmin(PreviewMixin, ReadOnlyAdmin):
    """Which events go out together, and when."""

    related = (listed("events", Event, "batch"), listed("deliveries", Delivery, "batch"), preview_link)
    list_display = (
        "id",
        "policy",
        shortened("recipient", 60),
        shortened("key", 40),
        "state",
        cell("events", lambda batch: list_link(Event, str(batch.item_count), batch=batch.pk)),
        listed("deliveries", Delivery, "batch"),
        moment("deliver_at", "due"),
        shortened("error"),
    )
    list_filter = (BatchStateFilter, PolicyFilter)
    search_help_text = "An id, or a recipient in full."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by recipient."""
        return by_id(Batch, term), of_recipient(Batch, term)


@admin.register(Clock)
class ClockAdmin(ReadOnlyAdmin):
    """The event clock's one row."""

    small = True
    list_display = ("__str__", "simulated_at")
    search_fields = ()
