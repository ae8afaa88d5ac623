"""The inbox of the user who is logged in: `{% inbox_unread %}` and `{% inbox_messages 5 as messages %}`."""

from collections.abc import Sequence

from django import template
from django.template import Context

from pgsupervise.django_app import inbox
from pgsupervise.django_app.models import InboxMessage
from pgsupervise.django_app.preferences_links import recipient_of_user

register = template.Library()


@register.simple_tag(takes_context=True)
def inbox_unread(context: Context) -> int:
    """Return how many messages are unread; 0 for whoever is not logged in."""
    recipient = _recipient(context)
    return inbox.unread_count(recipient) if recipient else 0


@register.simple_tag(takes_context=True)
def inbox_messages(context: Context, limit: int = inbox.PAGE, shelf: str = inbox.Shelf.KEPT) -> Sequence[InboxMessage]:
    """Return the newest messages; none for whoever is not logged in."""
    recipient = _recipient(context)
    return inbox.page(recipient, inbox.Shelf(shelf), limit=limit) if recipient else []


def _recipient(context: Context) -> str:
    user = getattr(context.get("request"), "user", None)
    return recipient_of_user(user) if user is not None and user.is_authenticated else ""
