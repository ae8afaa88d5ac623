"""Lists of deliveries, of what providers told of them, and of what the local inbox has received."""

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest

from pgsupervise.django_app.models import Batch, Delivery, InboxMessage, ProviderEvent, Worker
from pgsupervise.partitions.provider_events import ProviderKind
from pgsupervise.partitions.states import DeliveryState

from .display import linked, listed, shortened
from .filters import CLAIMED, NEWEST, Admin, Choice, IdLink, Order, PolicyFilter, Rows, StateFilter, WorkerLink
from .readonly import ReadOnlyAdmin
from .recipients import by_id, of_recipient
from .resolving import ResolvesUnknown
from .terms import Term
from .times import moment


class DeliveryStateFilter(StateFilter):
    """Deliveries on their way, and those that will not arrive, have partial indexes."""

    orders = {
        DeliveryState.PENDING: Order(("bucket", "id"), "by bucket, oldest first"),
        DeliveryState.WAITING: Order(("bucket", "not_before"), "by bucket, soonest first"),
        DeliveryState.RETRYING: Order(("bucket", "not_before"), "by bucket, soonest first"),
        DeliveryState.SENDING: Order(("claimed_by",), "by worker"),
        DeliveryState.STANDBY: Order(("id",), "oldest first"),
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


class DuplicatesFilter(Choice):
    """Deliveries of which the provider took more than one attempt: rare, and with a partial index."""

    title = parameter_name = "duplicates"

    def lookups(self, request: HttpRequest, model_admin: Admin) -> Iterable[tuple[str, str]]:
        """Return the only choice."""
        return [("some", "taken more than once")]

    def select(self, rows: Rows, value: str) -> Rows:
        """Return the rows that have some."""
        return rows.filter(duplicates__gt=0)

    def order(self) -> Order | None:
        """Return the order of their index."""
        return NEWEST if self.value() else None


@admin.register(Delivery)
class DeliveryAdmin(ResolvesUnknown):
    """What is sent, and what is known about it."""

    list_display = (
        "id",
        "policy",
        shortened("recipient", 60),
        "channel",
        "state",
        "attempt",
        "provider_status",
        moment("created_at"),
        moment("not_before"),
        linked("batch", Batch, "batch_id"),
        linked("claimed_by", Worker),
        shortened("error"),
    )
    list_filter = (DeliveryStateFilter, DuplicatesFilter, PolicyFilter, BatchLink, SenderLink)
    search_help_text = "An id, a recipient, or the id of the worker that sends it: each in full."
    deferred = ("payload",)
    links = {"claimed_by": Worker}
    related = (
        listed("inbox messages", InboxMessage, "delivery"),
        listed("provider's events", ProviderEvent, "delivery"),
    )

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id, by recipient and by worker."""
        yield by_id(Delivery, term)
        yield of_recipient(Delivery, term)
        if term.uuid is not None:
            sending = Delivery.objects.filter(state=DeliveryState.SENDING, claimed_by=term.uuid)
            yield sending.order_by("claimed_by")


class DeliveryLink(IdLink):
    """What a delivery has put into the inbox, or a provider told of it."""

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
        moment("read_at"),
        linked("delivery", Delivery, "delivery_id"),
    )
    list_filter = (PolicyFilter, DeliveryLink)
    search_help_text = "An id, or a recipient in full."
    deferred = ("text", "html", "item_ids")

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by recipient."""
        return by_id(InboxMessage, term), of_recipient(InboxMessage, term)


class KindFilter(Choice):
    """By what happened."""

    title = parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Admin) -> Iterable[tuple[str, str]]:
        """Return the kinds."""
        return [(kind.value, kind.value) for kind in ProviderKind]


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    """What providers told of messages that they took."""

    list_display = (
        "id",
        "kind",
        linked("delivery", Delivery, "delivery_id"),
        "attempt",
        shortened("address", 60),
        moment("occurred_at"),
        moment("received_at"),
        moment("applied_at"),
        shortened("reason"),
    )
    list_filter = (KindFilter, DeliveryLink)
    search_help_text = "The id of an event, or of the delivery that it is about."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by delivery."""
        yield by_id(ProviderEvent, term)
        buckets = list(by_id(Delivery, term).values_list("bucket", flat=True))
        yield ProviderEvent.objects.filter(bucket__in=buckets, delivery_id=term.id or 0)
