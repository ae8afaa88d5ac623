"""Lists of the runs that tell followers, and of who follows what."""

from collections.abc import Iterable

from django.contrib import admin

from pgsupervise.django_app.models import FanOut, FanOutState, Subscription

from .display import shortened
from .filters import NEWEST, PolicyFilter, Rows, StateFilter
from .readonly import ReadOnlyAdmin
from .recipients import by_id
from .terms import Term
from .times import lasted, moment


class RunStateFilter(StateFilter):
    """Runs that are not at their end have a partial index."""

    orders = {FanOutState.RUNNING: NEWEST}


@admin.register(FanOut)
class FanOutAdmin(ReadOnlyAdmin):
    """How far each call of `notify_followers()` has come."""

    list_display = (
        "id",
        shortened("name", 60),
        "policy",
        "source",
        "state",
        "told",
        "left_out",
        moment("occurred_at"),
        lasted("took", "created_at", "finished_at"),
        shortened("error"),
    )
    list_filter = (RunStateFilter, PolicyFilter)
    search_help_text = "An id, or a run's name in full."
    deferred = ("data", "argument")

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by name."""
        return by_id(FanOut, term), FanOut.objects.filter(bucket=term.bucket, name=term.text)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Who follows what."""

    list_display = (
        "id",
        shortened("recipient", 60),
        "object_type",
        shortened("object_id", 40),
        "tenant",
        moment("created_at", "since"),
    )
    search_help_text = "An id, or a recipient in full."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by recipient."""
        followed = Subscription.objects.filter(bucket=term.bucket, recipient=term.text)
        # In the order of the index that there is.
        return by_id(Subscription, term), followed.order_by("object_type", "object_id", "tenant")
