"""The list of channels that are, or were, paused."""

from collections.abc import Iterable

from django.contrib import admin

from pgsupervise.django_app.models import Channel

from .display import cell, shortened
from .filters import Order, Rows
from .readonly import ReadOnlyAdmin
from .terms import Term
from .times import moment


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin):
    """Why and until when a channel rests; `pgsupervise channels` pauses and resumes."""

    order = Order(("name",), "by name")
    small = True
    list_display = (
        "name",
        cell("state", lambda channel: channel.state),
        moment("since"),
        moment("paused_until"),
        shortened("reason"),
        shortened("by", 60),
    )
    search_help_text = "A channel's name in full."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by name."""
        return (Channel.objects.filter(name=term.text),)
