"""Lists of deliveries and of what the local inbox has received."""

from collections.abc import Iterable

from django.contrib import admin

from pgsupervise.django_app.models import Batch, Delivery, InboxMessage, Worker
from pgsupervise.partitions.states import DeliveryState

from .display import linked, listed, shortened
from .filters import CLAIMED, IdLink, Order, PolicyFilter, Rows, StateFilter, WorkerLink
from .readonly import ReadOnlyAdmin
from .recipients import by_id, of_recipient
from .terms import Term
from .times import moment


class DeliveryStateFilter(StateFilter):
    """Deliveries on their way, and those that will not arrive, have partial indexes."""

    orders = {
        DeliveryState.PENDING: Order(("bucket", "id"), "by bucket, oldest first"),
        DeliveryState.WAITING: Order(("bucket", "not_before"), "by bucket, soonest first"),
        DeliveryState.RETRYING: Order(("bucket", "not_before"), "by bucket, soonest first"),
        DeliveryState.SENDING: Order(("claimed_by",), "by worker"),
        DeliveryState.REFUSED: Order(("bucket", "id"), "by bucket, oldest first"),
        DeliveryState.UNKNOWN: Order(("bucket", "id"), "by bucket, oldest first"),
    }


class BatchLink(IdLink):
    """A batch's deliveries."""

    title = parameter_name = "batch"
    target = Batch


class SenderLink(WorkerLink):
    """Deliveries that a worker is sending."""

    title = "worker"
    parameter_name = "claimed_by"
    state = DeliveryState.SENDING
    sorting = CLAIMED


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """What is sent, and what is known about it."""

    list_display = (
        "id",
        "policy",
        shortened("recipient", 60),
        "channel",
        "state",
        "attempt",
        moment("created_at"),
        moment("not_before"),
        linked("batch", Batch, "batch_id"),
        linked("claimed_by", Worker),
        shortened("error"),
    )
    list_filter = (DeliveryStateFilter, PolicyFilter, BatchLink, SenderLink)
    search_help_text = "An id, a recipient, or the id of the worker that sends it: each in full."
    deferred = ("payload",)
    links = {"claimed_by": Worker}
    related = (listed("inbox messages", InboxMessage, "delivery"),)

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id, by recipient and by worker."""
        yield by_id(Delivery, term)
        yield of_recipient(Delivery, term)
        if term.uuid is not None:
            sending = Delivery.objects.filter(state=DeliveryState.SENDING, claimed_by=term.uuid)
            yield sending.order_by("claimed_by")


class DeliveryLink(IdLink):
    """What a delivery has put into the inbox."""

    title = parameter_name = "delivery"
    target = Delivery


@admin.register(InboxMessage)
class InboxMessageAdmin(ReadOnlyAdmin):
    """What the channel `inbox` has delivered."""

    list_display = (
        "id",
        "policy",
        "recipient",
        shortened("subject"),
        moment("received_at"),
        linked("delivery", Delivery, "delivery_id"),
    )
    list_filter = (PolicyFilter, DeliveryLink)
    search_help_text = "An id, or a recipient in full."
    deferred = ("text", "html", "item_ids")

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by recipient."""
        return by_id(InboxMessage, term), of_recipient(InboxMessage, term)
